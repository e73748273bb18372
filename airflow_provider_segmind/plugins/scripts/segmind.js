/**
 * What Airflow imports for the tab and for the page. It renders the component with its own React; there is no build.
 *
 * Airflow keeps one component under the name of both, so this one looks where it is.
 */

import { SegmindAccount } from "./account.js";
import { SegmindTab } from "./tab.js";

const { createElement: h } = globalThis.React;

function Segmind(place) {
  return place.taskId ? h(SegmindTab, place) : h(SegmindAccount);
}

// Airflow looks for the app by its name, and by this one.
globalThis.AirflowPlugin = Segmind;
export default Segmind;
