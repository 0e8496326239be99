/** The first thing to run: signs in while the rest is being loaded. */
import { Session } from "./session";

const rest = import("./app");

Session.start()
  .then(async (session) => (await rest).mount(session))
  .catch((error: unknown) => {
    // There is no page to say it in.
    const text = error instanceof Error ? error.message : String(error);
    const root = document.getElementById("root") ?? document.body;
    const paragraph = document.createElement("p");
    paragraph.setAttribute("role", "alert");
    paragraph.textContent = `${text} Reload the page to try again.`;
    root.replaceChildren(paragraph);
  });
