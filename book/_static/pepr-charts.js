// Draws the charts of a page. Each .pepr-chart holds a picture, which stays if anything fails,
// and the chart's Vega-Lite specification. The chart library is loaded only where there is a
// chart; nothing else is ever loaded.
(function () {
  "use strict";
  const here = document.currentScript.src;

  // What the chart library loads data with: nothing.
  const none = () => Promise.reject(new Error("charts carry their data and load nothing"));
  const loader = { load: none, http: none, file: none, sanitize: async (uri) => ({ href: uri }) };

  const page = document.documentElement.dataset;
  const isDark = () => page.theme === "dark" || page.printed === "dark";

  // Paper is white: a dark page is printed light, and its charts are inverted (pepr.css).
  window.addEventListener("beforeprint", () => { if (isDark()) Object.assign(page, { printed: "dark", theme: "light" }); });
  window.addEventListener("afterprint", () => {
    if (page.printed) page.theme = page.printed;
    delete page.printed;
  });

  // A colour for the dark theme: greys change sides, colours become light enough to be seen.
  function darkened(colour) {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
    const [high, low] = [Math.max(r, g, b), Math.min(r, g, b)];
    const light = (high + low) / 2;
    const wanted = high - low < 0.2 ? 0.95 - 0.82 * light : Math.max(light, 0.6);
    const mix = (part) => { // towards white, or towards a grey of that lightness
      const mixed = high - low < 0.2 ? wanted : part + ((1 - part) * (wanted - light)) / (1 - light || 1);
      return Math.round(255 * mixed).toString(16).padStart(2, "0");
    };
    return `#${mix(r)}${mix(g)}${mix(b)}`;
  }

  // The chart's specification in the theme of the page, its data by rows again.
  function specification(chart) {
    const text = chart.querySelector("script").textContent;
    const spec = JSON.parse(!isDark() ? text : text
      .replaceAll('"white"', '"#ffffff"')
      .replace(/"#[0-9a-f]{6}"/gi, (colour) => `"${darkened(colour.slice(1, -1))}"`));
    if (isDark()) spec.config.background = "transparent";
    for (const [name, columns] of Object.entries(spec.datasets || {})) {
      if (Array.isArray(columns)) continue;
      const rows = Object.values(columns)[0].map(() => ({}));
      for (const [key, values] of Object.entries(columns)) values.forEach((value, i) => { rows[i][key] = value; });
      spec.datasets[name] = rows;
    }
    return spec;
  }

  // A text in lines of at most so many characters, as the library takes it.
  function lines(text, most) {
    const found = [""];
    for (const word of text.split(" ")) {
      const longer = `${found[found.length - 1]} ${word}`.trim();
      if (longer.length > most) found.push(word); else found[found.length - 1] = longer;
    }
    return found.filter(Boolean);
  }

  // On a phone, legends stand below one another, and titles of axes take several lines.
  function fitted(spec, width) {
    if (width > 480) return spec;
    const most = Math.floor((width - 90) / 7);
    const text = JSON.stringify(spec, (key, value) => (key === "title" && typeof value === "string"
      && value.length > most ? lines(value, most) : value));
    const config = { ...spec.config };
    config.legend = { ...config.legend, columns: 2, columnPadding: 6, labelFontSize: 11, labelLimit: width / 2 - 36, layout: { top: { direction: "vertical", margin: 4 } } };
    config.axis = { ...config.axis, labelFontSize: 11, titleFontSize: 12 };
    config.axisQuantitative = { ...config.axisQuantitative, tickCount: 4 };
    return { ...JSON.parse(text), config };
  }

  const drawn = new WeakMap(); // what the library gave for each chart

  // Draws what the chart's specification says now; the page's own script may have changed it.
  async function draw(chart) {
    const picture = chart.querySelector("img");
    drawn.get(chart)?.finalize();
    delete chart.dataset.drawn;
    chart.querySelector(".pepr-live")?.remove();
    const live = document.createElement("div");
    live.className = "pepr-live";
    chart.append(live);
    try {
      const spec = specification(chart);
      const result = await vegaEmbed(live, fitted(spec, chart.clientWidth), {
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: chart.dataset.name,
        loader,
        renderer: "svg",
        tooltip: { theme: isDark() ? "dark" : "light" },
      });
      picture.hidden = true;
      live.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
      for (const mark of live.querySelectorAll("[role=graphics-symbol]:not([aria-label])")) {
        mark.setAttribute("aria-hidden", "true"); // a line or a box of no data
      }
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

  // An equation that is wider than its column is set smaller, rather than cut.
  function fitEquations() {
    for (const equation of document.querySelectorAll("mjx-container[display=true]")) {
      equation.style.fontSize = "";
      const part = equation.clientWidth / equation.scrollWidth;
      if (part < 1) equation.style.fontSize = `${Math.floor(parseFloat(getComputedStyle(equation).fontSize) * part * 0.98)}px`;
    }
    document.documentElement.dataset.typeset = "true";
  }

  function start() {
    window.MathJax?.startup?.promise?.then(fitEquations);
    window.addEventListener("resize", fitEquations);
    const charts = document.querySelectorAll(".pepr-chart");
    if (!charts.length) return;
    charts.forEach((chart) => chart.addEventListener("pepr-redraw", () => draw(chart)));
    const library = document.createElement("script");
    library.src = new URL("pepr-vega.js", here).href;
    const all = async () => { // one after the other, so that the first is seen at once
      for (const chart of charts) {
        await draw(chart);
        await new Promise((done) => setTimeout(done));
      }
    };
    library.onload = () => {
      all();
      let dark = isDark();
      new MutationObserver(() => {
        if (dark === isDark()) return;
        dark = isDark();
        all();
      }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    };
    document.head.append(library);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
