// My servers: looks again while something is on its way from one state to another, or when the page
// could not wait for JupyterHub's newest word, and tells times by the reader's own clock.
const list = document.querySelector("#servers");
const PAUSE = 2000; // milliseconds
let left = false; // for where a button leads: to load this page again would keep its person here

function shown() {
  return Object.fromEntries(
    [...list.querySelectorAll(".state")].map((one) => [one.dataset.name, one.dataset.state]),
  );
}

function moves() {
  return Object.values(shown()).some((state) => state.endsWith("ing") && state !== "running");
}

async function look() {
  if (left) return;
  try {
    const answer = await fetch(list.dataset.states);
    const now = await answer.json();
    const changed = Object.entries(shown()).some(
      ([name, state]) => (now[name] ?? "stopped") !== state,
    );
    if (left) return;
    if (changed) location.reload();
    if (!moves()) return;
  } catch {
    // The hub may be restarting; look again.
  }
  setTimeout(look, PAUSE);
}

addEventListener("submit", () => (left = true));
if (list && (moves() || "late" in list.dataset)) setTimeout(look, PAUSE);
for (const one of document.querySelectorAll("#servers time")) {
  const when = new Date(one.dateTime);
  const today = when.toDateString() === new Date().toDateString();
  const day = today ? {} : { day: "numeric", month: "long" };
  one.textContent = when.toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit" });
}
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
