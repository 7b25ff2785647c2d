// The Launch page's volumes: rows to choose from, which write the text field that stands there
// without this script. What cannot be shown as rows stays a text.

// Return the rows that `text` means, or null if that is not clear.
function read(text) {
  const rows = [];
  for (const part of text.split(",").map((one) => one.trim()).filter(Boolean)) {
    const [volume, ...more] = part.split(":");
    const mode = ["ro", "rw"].includes(more.at(-1)) ? more.pop() : "rw";
    if (!volume || more.length > 1) return null;
    rows.push({ volume, point: more[0] ?? usual(volume), readOnly: mode === "ro" });
  }
  return rows;
}

function usual(volume) {
  return volume.split("/").at(-1);
}

function control(name, label, className) {
  const made = document.createElement(name);
  made.setAttribute("aria-label", label);
  made.className = className;
  return made;
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

export async function mounts() {
  const box = document.querySelector("#mounts");
  if (!box) return;
  const field = document.querySelector("#volumes");
  const list = box.querySelector("ul");
  const add = box.querySelector("button");
  const plain = document.querySelector("#volumes-text");
  let choices = [];

  function write() {
    const rows = [...list.children].map((row) => row.said()).filter(Boolean);
    field.value = rows.join(", ");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function number() {
    [...list.children].forEach((row, index) => {
      for (const one of row.children) {
        one.setAttribute("aria-label", `${one.dataset.label} ${index + 1}`);
      }
    });
  }

  function make({ volume, point, readOnly }) {
    const row = document.createElement("li");
    const which = control("select", "Volume", "which");
    const folder = control("input", "Folder for volume", "folder");
    const access = control("select", "Access to volume", "access");
    const remove = control("button", "Remove volume", "plain small");
    which.append(...choices.map((one) => option(one.volume, one.said)));
    const known = choices.find((one) => [one.volume, one.whole].includes(volume));
    if (volume && !known) which.append(option(volume, `${volume}, not one of yours`));
    folder.type = "text";
    folder.maxLength = 200;
    folder.value = point;
    folder.placeholder = "folder";
    folder.autocomplete = "off";
    folder.autocapitalize = "none";
    folder.spellcheck = false;
    access.append(option("", "read and write"), option(":ro", "read only"));
    access.value = readOnly ? ":ro" : "";
    remove.type = "button";
    remove.textContent = "Remove";
    which.value = known?.volume ?? (volume || choices[0].volume);
    if (!point) folder.value = usual(which.value);
    for (const one of [which, folder, access, remove]) {
      one.dataset.label = one.getAttribute("aria-label");
    }
    let before = which.value;

    function bound() {
      const chosen = choices.find((one) => one.volume === which.value);
      const only = chosen !== undefined && !chosen.write;
      if (only) access.value = ":ro";
      access.disabled = only;
    }

    row.said = () => `${which.value}:${folder.value.trim() || usual(which.value)}${access.value}`;
    which.addEventListener("change", () => {
      if ([usual(before), ""].includes(folder.value)) folder.value = usual(which.value);
      before = which.value;
      bound();
      write();
    });
    folder.addEventListener("input", write);
    access.addEventListener("change", write);
    remove.addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      number();
      write();
      (next?.querySelector("button") ?? add).focus();
    });
    bound();
    row.append(which, folder, access, remove);
    list.append(row);
    return which;
  }

  const rows = read(field.value);
  if (rows === null) return;
  try {
    const answer = await fetch(box.dataset.choices);
    if (!answer.ok) return;
    choices = await answer.json();
  } catch {
    return; // one can still write it
  }
  rows.forEach(make);
  number();
  add.addEventListener("click", () => {
    const first = make({ volume: "", point: "", readOnly: false });
    number();
    write();
    first.focus();
  });
  add.hidden = choices.length === 0;
  box.querySelector("#no-volumes").hidden = choices.length > 0;
  plain.hidden = true;
  box.hidden = false;
}
