// The Launch page while one types: what was recognised, and what to copy.
import { copyButtons } from "./copy.js";
import { mounts } from "./mounts.js";
import { uploads } from "./upload.js";

const form = document.querySelector("#launch");
const said = document.querySelector("#recognised");
const share = document.querySelector("#share");
const ways = document.querySelector("#ways");
const PAUSE = 250; // milliseconds after the last key

let timer = 0;
let asked = 0;

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Where it can be opened elsewhere: the hubs stand on the page in the same order.
function showElsewhere({ ways, command, said: without }) {
  for (const [place, item] of document.querySelectorAll("#ways-elsewhere > li").entries()) {
    const link = item.querySelector("a");
    if (ways[place].url) link.href = ways[place].url;
    else link.removeAttribute("href");
    item.querySelector(".hint").textContent = ways[place].said;
  }
  document.querySelector("#copy-home").value = command;
  document.querySelector("#home").hidden = !command;
  const first = without.slice(0, 1).toUpperCase();
  document.querySelector("#home-said").textContent = first + without.slice(1);
}

function show(answer) {
  const note = element("div", "", answer.ok ? "note good" : "note bad");
  if (answer.ok) {
    const line = element("p", "", "found");
    line.append(`${answer.what} `, element("b", answer.where), `, ${answer.version}`);
    if (answer.opens) line.append(", opens ", element("b", answer.opens));
    if (answer.environment) {
      line.append("; in the environment of ", element("b", answer.environment));
    }
    note.append(line);
  } else {
    note.append(element("p", answer.error), element("p", answer.hint, "hint"));
  }
  said.replaceChildren(note);
  share.hidden = !answer.ok;
  if (ways) ways.hidden = answer.ok;
  if (answer.ok) {
    for (const [name, text] of Object.entries(answer.links)) {
      const box = document.querySelector(`#copy-${name}`);
      if (box) box.value = text;
    }
    showElsewhere(answer.elsewhere);
  }
}

async function ask() {
  if (!form.elements.repository.value.trim()) {
    said.replaceChildren();
    share.hidden = true;
    if (ways) ways.hidden = false;
    return;
  }
  const number = ++asked;
  const query = new URLSearchParams(new FormData(form));
  query.delete("form_token");
  try {
    const answer = await fetch(`${form.dataset.recognise}?${query}`);
    if (answer.status === 401) location.reload();
    const told = await answer.json();
    if (number === asked) show(told);
  } catch {
    // The next key asks again; the form works without this.
  }
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
});

for (const radio of form.querySelectorAll('input[name="at"]')) {
  radio.addEventListener("change", () => {
    if (radio.value === "date" && radio.checked) form.elements.date.focus();
  });
}
form.elements.date.addEventListener("input", () => {
  form.querySelector('input[name="at"][value="date"]').checked = true;
});

form.addEventListener("submit", () => {
  const button = form.querySelector("button[type=submit]");
  setTimeout(() => { button.disabled = true; }, 0);
});
addEventListener("pageshow", () => {
  form.querySelector("button[type=submit]").disabled = false;
});

copyButtons();

// Only who looks at what is advanced waits for the list of volumes.
const advanced = document.querySelector("#mounts")?.closest("details");
if (advanced?.open) mounts();
else advanced?.addEventListener("toggle", mounts, { once: true });

uploads((told) => {
  if (!told.ok) {
    show(told);
    return;
  }
  form.elements.repository.value = told.reference;
  form.elements.version.value = "";
  ask();
});

// A visitor's link starts at once, but only the first time: "back" leads here again.
if ("autostart" in form.dataset && !history.state?.started) {
  history.replaceState({ started: true }, "");
  form.requestSubmit();
}
