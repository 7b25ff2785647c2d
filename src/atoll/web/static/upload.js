// The Launch page's upload: a file that is chosen, or dropped onto the page, becomes a reference.

// Call `done` with each upload's answer: {ok, reference}, or {ok, error, hint}.
export function uploads(done) {
  const box = document.querySelector("#upload");
  if (!box) return;
  const input = box.querySelector("input");
  const bar = box.querySelector("progress");
  const cancel = box.querySelector("button");
  const token = document.querySelector('#launch input[name="form_token"]').value;
  let going = null;

  function free(busy) {
    bar.hidden = cancel.hidden = !busy;
    input.disabled = busy;
    input.value = "";
  }

  function send(file) {
    if (going || !file) return;
    const most = Number(box.dataset.most);
    if (file.size > most) {
      const error = `This is larger than the ${(most / 1e9).toFixed(1)} GB that are taken here.`;
      done({ ok: false, error, hint: "" });
      return;
    }
    const request = (going = new XMLHttpRequest()); // fetch() does not tell how far it has come
    request.open("PUT", box.dataset.to + encodeURIComponent(file.name));
    request.setRequestHeader("X-Form-Token", token);
    request.responseType = "json";
    bar.value = 0;
    request.upload.addEventListener("progress", (event) => {
      // Sent is not unpacked: the bar moves by itself until the answer comes.
      if (event.loaded < event.total) bar.value = event.loaded / event.total;
      else bar.removeAttribute("value");
    });
    request.addEventListener("loadend", () => {
      going = null;
      free(false);
      if (request.status === 401) location.reload();
      else if (request.response) done(request.response);
    });
    request.addEventListener("error", () => {
      done({ ok: false, error: "The file did not arrive.", hint: "Try again." });
    });
    free(true);
    request.send(file);
  }

  input.addEventListener("change", () => send(input.files[0]));
  cancel.addEventListener("click", () => going?.abort());
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    send(event.dataTransfer.files[0]);
  });
  box.hidden = false;
}
