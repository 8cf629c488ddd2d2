import { render } from "preact";
import { readSession } from "./access/session.ts";
import { App } from "./app.tsx";

document.body.replaceChildren(); // Removes the text that explains a failure to load this script.
render(<App />, document.body);
void readSession();
