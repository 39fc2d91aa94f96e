"""Workers in a storage without a server: how they join, beat and leave where it or others misbehave."""

import optuna
from optuna.trial import TrialState

from lossreg.storage.workers import Workers


class Hasty(optuna.storages.InMemoryStorage):
    """Ends the first worker that joins, as another one may that cannot see its process."""

    is_ended = False

    def create_new_trial(self, study_id, template_trial=None):
        trial_id = super().create_new_trial(study_id, template_trial)
        if not self.is_ended:
            self.is_ended = True
            self.set_trial_state_values(trial_id, TrialState.FAIL)
        return trial_id


def test_a_worker_that_another_ends_at_once_joins_again():
    worker = Workers(Hasty(), "s", dead_after=60.0)
    worker.join()
    assert worker.has_ended(worker.number)
    worker.pulse()
    assert worker.number == 1
    assert not worker.has_ended(1)
