import "@careevolution/mydatahelps-js/MyDataHelps.css";
import mdh from "@careevolution/mydatahelps-js";
import * as library from "@careevolution/mydatahelps-ui";
import type { ComponentType } from "react";
import ReactDOM from "react-dom";
import { Authorized } from "./provider";
import { authorize } from "./snippet";

// The page that the component library's parts are shown on, each by its name in the query.
const query = new URLSearchParams(location.search);
const name = query.get("show") ?? "";
const Shown = (library as unknown as Record<string, ComponentType<object>>)[name];
const props = JSON.parse(query.get("props") ?? "{}");

Object.assign(window, { mdh, names: Object.keys(library) });

async function show() {
  if (query.has("surveys")) await import("./surveys");
  if (query.has("early")) { // as one should not
    ReactDOM.render(<Shown {...props} />, document.getElementById("root"));
    return authorize();
  }
  ReactDOM.render(<Authorized>{Shown ? <Shown {...props} /> : <p>{name || "nothing"} is not there</p>}</Authorized>, document.getElementById("root"));
}
show();
