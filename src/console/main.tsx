import { render } from "preact";
import { App } from "./app.tsx";

document.body.replaceChildren(); // What the page says where this script could not be loaded.
render(<App />, document.body);
