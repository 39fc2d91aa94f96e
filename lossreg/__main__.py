"""`python -m lossreg` is the command `lossreg`."""

from lossreg.cli import main

main()
