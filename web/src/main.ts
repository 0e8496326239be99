/** The entry point. It signs the user in while the rest of the page loads. */
import { Session } from "./session";

const rest = import("./app");

Session.start()
  .then(async (session) => (await rest).mount(session))
  .catch((error: unknown) => {
    // React isn't running yet, so the error goes straight into the document.
    const text = error instanceof Error ? error.message : String(error);
    const root = document.getElementById("root") ?? document.body;
    const paragraph = document.createElement("p");
    paragraph.setAttribute("role", "alert");
    paragraph.textContent = `${text} Reload the page to try again.`;
    root.replaceChildren(paragraph);
  });
