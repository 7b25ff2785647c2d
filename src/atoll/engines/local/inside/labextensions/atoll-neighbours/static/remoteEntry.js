// An extension of the Lab that needs no building: it tells the server which documents this page has
// open, and shows who else has one of them open in a server of their own (inside/neighbours.py).
(() => {
  const OFTEN = 10000; // milliseconds
  const SOON = 500; // after something was opened or closed
  const SHARE = "atoll-neighbours:share";

  function activate(app) {
    const { contents, serverSettings } = app.serviceManager;
    const page = Math.random().toString(36).slice(2);
    const shown = new Map(); // by path: the sentence, and the notification's id
    let share = "";
    let waiting = 0;
    let asking = false;

    app.commands.addCommand(SHARE, {
      label: "Share One Server",
      execute: () => window.open(share, "_blank", "noopener"),
    });

    function open() {
      const widgets = Array.from(app.shell.widgets("main"));
      const paths = widgets.map((one) => one.context?.path).filter(Boolean);
      return [...new Set(paths.map((path) => contents.localPath(path)))];
    }

    function tell(paths, more) {
      const headers = { "Content-Type": "application/json" };
      const form = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
      if (form) headers["X-XSRFToken"] = form[1];
      if (serverSettings.token) headers.Authorization = `token ${serverSettings.token}`;
      const body = JSON.stringify({ page, open: paths });
      const how = { method: "POST", credentials: "same-origin", headers, body, ...more };
      return fetch(`${serverSettings.baseUrl}atoll/neighbours`, how);
    }

    async function ask() {
      if (document.hidden || asking) return; // who comes back asks at once
      asking = true; // two answers at a time would be shown twice
      try {
        const answer = await tell(open(), { signal: AbortSignal.timeout(OFTEN) });
        if (answer.ok) await show(await answer.json());
      } catch (error) {
        console.debug("Who else has documents open is not known just now.", error);
      } finally {
        asking = false;
      }
    }

    async function show(told) {
      share = told.share;
      for (const [path, { said, id }] of shown) {
        if (told.said[path] === said) continue;
        shown.delete(path);
        await app.commands.execute("apputils:dismiss-notification", { id });
      }
      const actions = share ? [{ label: "Share one server", commandId: SHARE }] : [];
      for (const [path, said] of Object.entries(told.said)) {
        if (shown.has(path)) continue;
        const notice = { message: said, type: "warning", options: { autoClose: false, actions } };
        shown.set(path, { said, id: await app.commands.execute("apputils:notify", notice) });
      }
    }

    function soon() {
      clearTimeout(waiting);
      waiting = setTimeout(ask, SOON);
    }

    app.restored.then(() => {
      soon();
      app.shell.layoutModified?.connect(soon);
      setInterval(ask, OFTEN);
      document.addEventListener("visibilitychange", ask);
      window.addEventListener("pagehide", () => tell([], { keepalive: true }).catch(() => {}));
    });
  }

  const extension = { id: "atoll-neighbours:plugin", autoStart: true, activate };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["atoll-neighbours"] = {
    init: () => {},
    get: async () => () => ({ __esModule: true, default: extension }),
  };
})();
