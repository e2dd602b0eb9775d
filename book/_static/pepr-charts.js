// Draws the charts of a page. Each .pepr-chart holds a picture, which stays if anything fails,
// and the chart's Vega-Lite specification. The chart library is loaded only where there is a
// chart; nothing else is ever loaded.
(function () {
  "use strict";
  const here = document.currentScript.src;

  // Without a server a page may not read its neighbours, so the search shows titles only.
  if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }

  // What the chart library loads data with: nothing.
  const none = () => Promise.reject(new Error("charts carry their data and load nothing"));
  const loader = { load: none, http: none, file: none, sanitize: async (uri) => ({ href: uri }) };

  // On a phone, legends wrap and axis titles must not push the plot aside.
  function fitted(spec, width) {
    if (width > 480) return spec;
    const config = { ...spec.config };
    config.legend = { ...config.legend, columns: 2, labelLimit: width / 2 - 40 };
    config.axis = { ...config.axis, labelFontSize: 11, titleFontSize: 12 };
    config.axisQuantitative = { ...config.axisQuantitative, tickCount: 4 };
    return { ...spec, config };
  }

  const drawn = new WeakMap(); // what the library gave for each chart

  // Draws what the chart's specification says now; the page's own script may have changed it.
  async function draw(chart) {
    const picture = chart.querySelector("img");
    drawn.get(chart)?.finalize();
    delete chart.dataset.drawn;
    chart.querySelector(".pepr-live")?.remove();
    const spec = JSON.parse(chart.querySelector("script").textContent);
    const live = document.createElement("div");
    live.className = "pepr-live";
    chart.append(live);
    try {
      const result = await vegaEmbed(live, fitted(spec, chart.clientWidth), {
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: chart.dataset.name,
        loader,
        renderer: "svg",
      });
      picture.hidden = true;
      chart.dataset.drawn = "true";
      if (spec.width === "container" && !drawn.has(chart)) follow(chart);
      drawn.set(chart, result);
      chart.dispatchEvent(new CustomEvent("pepr-drawn", { detail: result.view }));
    } catch (error) {
      live.remove();
      console.error(`chart ${chart.dataset.name}: ${error.message}`);
    }
  }

  // Vega follows the window's width; a column also changes when a sidebar opens.
  function follow(chart) {
    let width = chart.clientWidth;
    new ResizeObserver(() => {
      if (chart.clientWidth === width || !chart.clientWidth) return;
      width = chart.clientWidth;
      const { view } = drawn.get(chart);
      view.signal("width", view.container().clientWidth).runAsync();
    }).observe(chart);
  }

  function start() {
    const charts = document.querySelectorAll(".pepr-chart");
    if (!charts.length) return;
    charts.forEach((chart) => chart.addEventListener("pepr-redraw", () => draw(chart)));
    const library = document.createElement("script");
    library.src = new URL("pepr-vega.js", here).href;
    library.onload = () => charts.forEach(draw);
    document.head.append(library);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
