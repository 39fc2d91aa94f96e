"use strict";
const PAPER_WIDTH = 640;
const DARKEST = "#555555"; /* of the colours of losses; a dark page needs a lighter one */
const dark = matchMedia("(prefers-color-scheme: dark)");
const figures = [...document.querySelectorAll(".figure")];
const specs = new Map(figures.map((figure) => [figure, figure.querySelector("script").textContent]));
let isOnPaper = false;

async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

/* Whoever prints the page once it is loaded, as a browser without a window does, needs plotly.js by then: an open
   document inside of the page keeps back its load event. */
function holdLoadEvent() {
  const frame = document.createElement("iframe");
  frame.hidden = true;
  document.body.append(frame);
  frame.contentDocument?.open();
  return () => frame.remove();
}

function themed(text) {
  const style = getComputedStyle(document.documentElement);
  if (dark.matches && !isOnPaper) text = text.replaceAll(DARKEST, "#b0b0b0");
  for (const [standIn, name] of Object.entries(STAND_INS)) {
    const onPaper = { "--ink": "#000000", "--grid": "#cccccc" }[name];
    text = text.replaceAll(standIn, isOnPaper ? onPaper : style.getPropertyValue(name).trim());
  }
  return JSON.parse(text);
}

function draw(figure) {
  const { data, layout } = themed(specs.get(figure));
  if (isOnPaper) layout.width = PAPER_WIDTH;
  const isNarrow = !isOnPaper && figure.clientWidth < 500;
  if (isNarrow) narrow(layout);
  const config = { responsive: true, displayModeBar: isNarrow ? false : "hover", displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "sendDataToCloud"] };
  return Plotly.react(figure, data, layout, config);
}

/* On a phone a finger scrolls the page, and names of rows leave room for the picture. */
function narrow(layout) {
  layout.dragmode = false;
  layout.font.size = 11;
}

function drawn() {
  return figures.filter((figure) => figure.classList.contains("js-plotly-plot"));
}

function onPaper(value) {
  isOnPaper = value;
  (value ? figures : drawn()).forEach(draw);
}

/* Pictures that are not drawn yet have their height, so that a link finds its section. */
function reserve(figure) {
  figure.style.minHeight = `${JSON.parse(specs.get(figure)).layout.height}px`;
}

function watch() {
  figures.forEach(reserve);
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "600px" });
  figures.forEach((figure) => observer.observe(figure));
  dark.addEventListener("change", () => drawn().forEach(draw));
  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));
}

/* Inside of a frame a browser may refuse to copy: then the text is selected. */
async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function offerCopies() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

/* A page in a frame of MLflow's may not be loaded again, which its browser takes a link to a section for. */
function followLinks() {
  if (location.protocol !== "blob:") return;
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.querySelector(link.hash).scrollIntoView();
    });
  }
}

/* The text of the page is for a browser without DecompressionStream; of other errors it is their own. */
function sayWhy(error) {
  for (const text of document.querySelectorAll(".failure")) {
    if (typeof DecompressionStream !== "undefined") text.textContent = `The pictures cannot be drawn: ${error.message}`;
    text.hidden = false;
  }
  console.error(error);
}

offerCopies();
followLinks();
if (figures.length) {
  loadPlotly().then(watch).catch(sayWhy).finally(holdLoadEvent());
}
