// Copy buttons: the text of the field beside them.

async function copy(field) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(field.value);
  } else {
    field.select();
    document.execCommand("copy");
  }
}

export function copyButtons() {
  const status = document.querySelector("#copied");
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.querySelector(`#${button.dataset.copy}`);
      try {
        await copy(field);
        status.textContent = `Copied: ${button.dataset.what}.`;
        button.textContent = "Copied";
      } catch {
        field.select();
        status.textContent = "Press Ctrl+C to copy.";
        button.textContent = "Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}
