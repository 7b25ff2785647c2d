// The progress page: follows the stream of events, and goes to the Lab at the end.
const page = document.querySelector("#progress");
const list = document.querySelector("#steps");
const log = document.querySelector("#log");
const status = document.querySelector("#status");
const LINES = 5000; // kept in the page; the newest

let steps = JSON.parse(list.dataset.steps);
let skew = Date.now() / 1000 - Number(page.dataset.now); // our clock against the server's

function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const WORDS = { waiting: "to come", now: "under way", done: "done", failed: "failed" };

function draw() {
  for (const step of steps) {
    const row = list.querySelector(`[data-phase="${step.phase}"]`);
    row.dataset.state = step.state;
    row.querySelector(".word").textContent = WORDS[step.state];
    row.querySelector(".said").textContent = step.state === "waiting" ? "" : step.said;
    const passed = step.seconds ?? (step.began ? Date.now() / 1000 - skew - step.began : null);
    row.querySelector(".time").textContent = passed === null ? "" : duration(Math.max(0, passed));
  }
}

function write(text) {
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(`${text}\n`);
  while (log.childNodes.length > LINES) log.firstChild.remove();
  if (follow) log.scrollTop = log.scrollHeight;
}

function begin() {
  const source = new EventSource(`${page.dataset.events}?seen=${page.dataset.seen}`);
  source.addEventListener("anew", () => { log.textContent = ""; });
  source.addEventListener("told", (event) => {
    const told = JSON.parse(event.data);
    skew = Math.min(skew, Date.now() / 1000 - told.at);
    if (told.steps) {
      steps = told.steps;
      draw();
    }
    if (!told.detail) status.textContent = told.message;
    write(told.message);
  });
  source.addEventListener("over", (event) => {
    source.close();
    const told = JSON.parse(event.data);
    steps = told.steps;
    draw();
    if (told.state === "ready" && !told.proposal) {
      status.textContent = "Ready. Opening your server.";
      location.replace(page.dataset.enter);
    } else {
      location.reload(); // the server says what happened and what to do, or what can be chosen
    }
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
    else status.textContent = "The connection was lost; trying again.";
  });
  source.addEventListener("open", () => {
    if (status.textContent.startsWith("The connection")) status.textContent = "Connected again.";
  });
  addEventListener("pagehide", () => source.close());
}

log.scrollTop = log.scrollHeight;
const going = location.hash === "#go";
if (going) history.replaceState(null, "", location.pathname);
if (going && page.dataset.state === "ready" && !("proposal" in page.dataset)) location.replace(page.dataset.enter);
if (!("over" in page.dataset)) {
  draw();
  setInterval(draw, 500);
  begin();
}
