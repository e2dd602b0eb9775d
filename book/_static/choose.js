// The page "Choose a model": the score of a table, live. Loaded on that page alone, which holds the
// data (#choose-data) and, for readers without scripts, the default view as a picture and a table.
// What is computed here is pepr_utils.scoring's: normalize, pepr, select and pareto_front;
// tests/book/test_choose.py holds both against each other.
(() => {
  "use strict";
  const DRAWS = 1000; // resamplings of the test images
  const FIRST_ROWS = 40; // of the table, until all are asked for
  const RULES = {
    minmax: "min-max (the paper's)", max: "share of the largest", log: "min-max of the logarithm",
    quantile: "5 % to 95 % quantile, clipped", fixed: "between bounds of your own, clipped",
  };
  const MISSING = ["", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "nat", "#n/a"];
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const DEFAULTS = { cost: "", alpha: 1, rule: "minmax", lower: "", upper: "", search: "", sort: "rank" };

  // --- The score ---------------------------------------------------------------------------------

  function quantile(sorted, level) {
    const place = level * (sorted.length - 1), below = Math.floor(place);
    const next = sorted[Math.min(below + 1, sorted.length - 1)];
    return sorted[below] + (place - below) * (next - sorted[below]);
  }

  /** The function from a cost to R in [0, 1] that a rule finds in the costs of an experiment. */
  function normalization(costs, { rule, lower, upper }) {
    const sorted = Float64Array.from(costs).sort();
    let [low, high] = [sorted[0], sorted[sorted.length - 1]];
    if (rule === "max") low = 0;
    if (rule === "quantile") [low, high] = [quantile(sorted, 0.05), quantile(sorted, 0.95)];
    if (rule === "fixed") [low, high] = [Number(lower), Number(upper)];
    const scale = rule === "log" ? Math.log10 : (cost) => cost;
    const span = scale(high) - scale(low);
    return (cost) => (span > 0 ? Math.min(Math.max((scale(cost) - scale(low)) / span, 0), 1) : 0);
  }

  const values = (set, experiment, id) => experiment[id] || set[id];
  const mean = (numbers) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

  /** Performance, resource and score of each model of one experiment that has every value. */
  function scoreOne(set, experiment, weights, state) {
    const known = [...set.models.keys()].filter((i) => experiment.performance[i] != null
      && weights.every(([id]) => values(set, experiment, id)[i] != null));
    const rules = weights.map(([id]) =>
      normalization(known.map((i) => values(set, experiment, id)[i]), state));
    const rows = new Map();
    for (const i of known) {
      const parts = weights.map(([id, w], k) => w * rules[k](values(set, experiment, id)[i]));
      const resource = Math.min(parts.reduce((sum, x) => sum + x, 0), 1);
      const performance = experiment.performance[i];
      rows.set(i, { performance, resource, score: performance / (1 + resource / state.alpha) });
    }
    return { rows, rule: rules[0] };
  }

  /** The models in all of the experiments chosen, best first; those within budget are ranked. */
  function rank(set, state) {
    const weights = weightsOf(set, state), chosen = experimentsOf(set, state);
    const each = chosen.map((experiment) => scoreOne(set, experiment, weights, state));
    const single = chosen.length === 1 && weights.length === 1;
    const rows = [];
    for (const i of set.models.keys()) {
      if (!each.every((one) => one.rows.has(i))) continue;
      const row = { i, model: set.models[i] };
      for (const name of ["performance", "resource", "score"]) {
        row[name] = mean(each.map((one) => one.rows.get(i)[name]));
      }
      row.each = each.map((one) => one.rows.get(i));
      for (const { id } of set.columns) {
        const found = chosen.map((experiment) => values(set, experiment, id)[i]);
        row[id] = found.some((x) => x == null) ? null : mean(found);
      }
      row.within = Object.entries(state.max).every(([id, most]) => row[id] != null && row[id] <= most);
      row.x = single ? row[weights[0][0]] : row.resource;
      rows.push(row);
    }
    const first = weights[0][0];
    rows.sort((a, b) => b.within - a.within || b.score - a.score || a.resource - b.resource
      || a[first] - b[first] || a.i - b.i);
    rows.forEach((row, place) => { row.rank = row.within ? place + 1 : null; });
    const byCost = [...rows].sort((a, b) => a.x - b.x);
    markFront(byCost);
    resample(chosen, state, rows, byCost);
    return { rows, single, weights, chosen, rule: each[0].rule };
  }

  /** Runs of rows of equal cost, in the order of their cost. */
  function sameCost(rows) {
    const runs = [];
    rows.forEach((row, k) => {
      if (k && rows[k - 1].x === row.x) runs[runs.length - 1].push(row);
      else runs.push([row]);
    });
    return runs;
  }

  /** Flag the rows that no other beats: of equal cost the best, if better than all cheaper ones. */
  function markFront(byCost) {
    let best = -Infinity;
    for (const equals of sameCost(byCost)) {
      const top = Math.max(...equals.map((row) => row.performance));
      for (const row of equals) row.front = row.performance === top && top > best;
      best = Math.max(best, top);
    }
  }

  // --- How firm it is: the test images are drawn anew, a binomial draw for each model ----------------

  function generator(seed) { // mulberry32: the same numbers for everyone who opens the page
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  function binomialShares(n, p, random) { // by inversion of the distribution within 9 deviations
    const spread = 9 * Math.sqrt(n * p * (1 - p));
    const low = Math.max(0, Math.floor(n * p - spread)), high = Math.min(n, Math.ceil(n * p + spread));
    if (!spread) return new Float64Array(DRAWS).fill(p);
    const mode = Math.round(n * p), chances = new Float64Array(high - low + 1);
    chances[mode - low] = 1;
    for (let k = mode; k < high; k++) {
      chances[k + 1 - low] = (chances[k - low] * (n - k) * p) / ((k + 1) * (1 - p));
    }
    for (let k = mode; k > low; k--) {
      chances[k - 1 - low] = (chances[k - low] * k * (1 - p)) / ((n - k + 1) * p);
    }
    for (let k = 1; k < chances.length; k++) chances[k] += chances[k - 1];
    const total = chances[chances.length - 1];
    return Float64Array.from({ length: DRAWS }, () => {
      const u = random() * total;
      let [a, b] = [0, chances.length - 1];
      while (a < b) { const m = (a + b) >> 1; if (chances[m] > u) b = m; else a = m + 1; }
      return (low + a) / n;
    });
  }

  const drawn = new WeakMap(); // by experiment: the drawn performances of each model

  function draws(experiment) {
    if (!drawn.has(experiment)) {
      const random = generator([...experiment.id].reduce((seed, c) => (31 * seed + c.charCodeAt(0)) | 0, 7));
      drawn.set(experiment, experiment.performance.map((p) =>
        p == null ? null : binomialShares(experiment.n_test, p, random)));
    }
    return drawn.get(experiment);
  }

  /** Share of the resamplings in which each row leads those within budget, and is on the front. */
  function resample(chosen, state, rows, byCost) {
    if (!chosen.every((experiment) => experiment.n_test)) return;
    const samples = chosen.map(draws), n = chosen.length;
    const best = new Float64Array(DRAWS).fill(-1), leader = new Int32Array(DRAWS).fill(-1);
    rows.forEach((row, place) => {
      row.leads = row.stays = 0;
      row.drawn = new Float64Array(DRAWS);
      const score = new Float64Array(DRAWS);
      samples.forEach((sample, e) => {
        const drawn = sample[row.i], factor = 1 / (1 + row.each[e].resource / state.alpha) / n;
        for (let k = 0; k < DRAWS; k++) {
          row.drawn[k] += drawn[k] / n;
          score[k] += drawn[k] * factor;
        }
      });
      if (!row.within) return;
      for (let k = 0; k < DRAWS; k++) {
        if (score[k] <= best[k]) continue;
        best[k] = score[k];
        leader[k] = place;
      }
    });
    for (const place of leader) if (place >= 0) rows[place].leads += 1 / DRAWS;
    best.fill(-1);
    for (const equals of sameCost(byCost)) {
      const top = new Float64Array(DRAWS); // of the models that cost the same
      for (const { drawn } of equals) for (let k = 0; k < DRAWS; k++) if (drawn[k] > top[k]) top[k] = drawn[k];
      for (const row of equals) {
        for (let k = 0; k < DRAWS; k++) if (row.drawn[k] === top[k] && top[k] > best[k]) row.stays += 1 / DRAWS;
      }
      for (let k = 0; k < DRAWS; k++) if (top[k] > best[k]) best[k] = top[k];
    }
  }

  // --- The state, which is the page's address ------------------------------------------------------

  const offered = JSON.parse(document.getElementById("choose-data").textContent);
  for (const set of offered.slice(1)) { // what is as in the first set is not there twice
    set.experiments = set.experiments.map((one) => ({ ...offered[0].experiments.find(({ id }) => id === one.id), ...one }));
  }
  const sets = new Map(offered.map((set) => [set.id, set]));
  const place = document.getElementById("choose");
  const chart = document.querySelector(".pepr-chart[data-name=choose]");
  const box = document.querySelector('.pepr-table-box:has(+ .pepr-links [download="choose-top.csv"])');
  let state, table, view, shownAs, addressTimer, showAll = false;

  const costsOf = (set) => set.columns.filter((column) => column.cost);
  const column = (set, id) => set.columns.find((one) => one.id === id);
  const experimentsOf = (set, { data }) => {
    const average = (set.averages || []).find((one) => one.id === data);
    return average ? average.of.map((id) => set.experiments.find((one) => one.id === id))
      : set.experiments.filter((one) => one.id === data);
  };

  /** The costs that count, with weights that sum to 1. */
  function weightsOf(set, { cost, weights }) {
    if (cost !== "several") return [[cost, 1]];
    const given = costsOf(set).map(({ id }) => [id, weights[id] ?? 1]).filter(([, w]) => w > 0);
    const all = given.length ? given : costsOf(set).map(({ id }) => [id, 1]);
    const total = all.reduce((sum, [, w]) => sum + w, 0);
    return all.map(([id, w]) => [id, w / total]);
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const set = sets.get(given.get("set")) || offered[0];
    const number = (text) => (NUMBER.test(text ?? "") ? Number(text) : "");
    state = { ...DEFAULTS, set: set.id, data: given.get("data"), weights: {}, max: {}, compare: [] };
    for (const name of ["cost", "rule", "search", "sort"]) state[name] = given.get(name) ?? state[name];
    for (const name of ["lower", "upper"]) state[name] = number(given.get(name));
    state.alpha = Math.min(Math.max(number(given.get("alpha")) || 1, 1), 1000);
    for (const { id } of set.columns) {
      if (number(given.get(`max-${id}`)) !== "") state.max[id] = number(given.get(`max-${id}`));
      if (number(given.get(`weight-${id}`)) !== "") state.weights[id] = number(given.get(`weight-${id}`));
    }
    state.compare = given.getAll("compare").filter((name) => set.models.includes(name)).slice(0, 3);
    settle();
  }

  /** Replace what the set chosen does not have. */
  function settle() {
    const set = sets.get(state.set);
    if (!experimentsOf(set, state).length) state.data = (set.averages?.[0] || set.experiments[0]).id;
    const costs = costsOf(set);
    if (!costs.some(({ id }) => id === state.cost) && !(state.cost === "several" && costs[1])) {
      state.cost = costs[0].id;
    }
    if (!(state.rule in RULES) || (state.rule === "fixed" && state.cost === "several")) state.rule = "minmax";
    for (const group of [state.max, state.weights]) {
      for (const id of Object.keys(group)) if (!column(set, id)) delete group[id];
    }
  }

  function address() {
    const given = new URLSearchParams();
    const set = sets.get(state.set);
    if (state.set !== offered[0].id) given.set("set", state.set);
    if (state.data !== (set.averages?.[0] || set.experiments[0]).id) given.set("data", state.data);
    if (state.cost !== costsOf(set)[0].id) given.set("cost", state.cost);
    for (const name of ["alpha", "rule", "lower", "upper", "search", "sort"]) {
      if (state[name] !== DEFAULTS[name]) given.set(name, state[name]);
    }
    for (const [id, most] of Object.entries(state.max)) given.set(`max-${id}`, most);
    for (const [id, w] of Object.entries(state.weights)) given.set(`weight-${id}`, w);
    for (const name of state.compare) given.append("compare", name);
    return `#${given}`;
  }

  // --- What is seen --------------------------------------------------------------------------------

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...content);
    return made;
  }

  const grouped = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
  const short = (x) => (x == null ? "–" : grouped.format(x));
  const fixed = (digits) => (x) => (x == null ? "–" : x.toFixed(digits));
  const gap = (x) => (x > 0 && x < 0.001 ? x.toPrecision(1) : x.toFixed(4));
  const percent = (x) => (x == null ? "–" : x > 0 && x < 0.01 ? "< 1 %" : `${Math.round(x * 100)} %`);
  const amount = (set, id, x) => `${short(x)} ${column(set, id).unit}`.trim();

  function select(id, label, options, value, changed) {
    const menu = element("select", { id, onchange: () => changed(menu.value) });
    for (const [key, text] of options) menu.add(new Option(text, key, false, key === value));
    return element("p", {}, element("label", { for: id }, label), menu);
  }

  /** A slider on a logarithmic scale and a field for the exact number; `most` may mean no limit. */
  function slider(id, label, [low, high], value, changed, open = false) {
    const steps = 300, ratio = Math.log(high / low) || 1;
    const at = (x) => (x === "" ? steps : Math.round((Math.log(Math.max(x, low) / low) / ratio) * steps));
    const range = element("input", { id, type: "range", min: 0, max: steps, value: at(value) });
    const field = element("input", {
      type: "number", min: 0, step: "any", value, "aria-label": `${label}, exact`,
      placeholder: open ? "any" : low,
    });
    const say = () => range.setAttribute("aria-valuetext", field.value || "no limit");
    range.addEventListener("input", () => {
      const x = low * Math.exp((range.value / steps) * ratio), size = 10 ** (Math.floor(Math.log10(x)) - 2);
      const rounded = Number((Math.ceil(x / size - 1e-6) * size).toPrecision(3));
      field.value = open && Number(range.value) === steps ? "" : Math.min(rounded, high);
      say();
      changed(field.value === "" ? "" : Number(field.value));
    });
    field.addEventListener("input", () => {
      if (!field.validity.valid || (field.value === "" && !open)) return;
      range.value = at(field.value === "" ? "" : Number(field.value));
      say();
      changed(field.value === "" ? "" : Number(field.value));
    });
    say();
    return element("p", {}, element("label", { for: id }, label), element("span", {}, range, field));
  }

  function controls() {
    const set = sets.get(state.set), costs = costsOf(set);
    const change = (name, rebuild) => (value) => {
      state[name] = value;
      settle();
      if (rebuild) build(); else update();
    };
    const menus = [
      select("choose-set", "Data", [...sets].map(([id, one]) => [id, one.label]), state.set, change("set", true)),
      select("choose-data-set", "Images and training",
        [...(set.averages || []), ...set.experiments].map((one) => [one.id, one.label]), state.data, change("data", true)),
      select("choose-cost", "Cost", [...costs.map((one) => [one.id, one.label]),
        ...(costs[1] ? [["several", "several, weighted"]] : [])], state.cost, change("cost", true)),
      select("choose-rule", "From cost to R", Object.entries(RULES).filter(([id]) =>
        id !== "fixed" || state.cost !== "several"), state.rule, change("rule", true)),
      slider("choose-alpha", "Alpha: weight of accuracy", [1, 1000], state.alpha,
        (x) => change("alpha")(Math.min(Math.max(x, 1), 1000))),
    ];
    if (state.rule === "fixed") {
      for (const [name, label] of [["lower", "R is 0 at"], ["upper", "R is 1 at"]]) {
        menus.push(element("p", {}, element("label", { for: `choose-${name}` }, label),
          element("input", { id: `choose-${name}`, type: "number", min: 0, step: "any", value: state[name],
            oninput: (event) => change(name)(event.target.value === "" ? "" : Number(event.target.value)) })));
      }
    }
    const weights = state.cost !== "several" ? [] : costs.map(({ id, label }) => {
      const range = element("input", { id: `choose-weight-${id}`, type: "range", min: 0, max: 1, step: 0.01,
        value: state.weights[id] ?? 1,
        oninput: () => { state.weights[id] = Number(range.value); update(); } });
      return element("p", {}, element("label", { for: range.id }, `Weight of ${label.toLowerCase()}`),
        element("span", {}, range, element("output", { for: range.id, "data-weight": id })));
    });
    const budgets = set.columns.map(({ id, label, unit }) => {
      const known = set.experiments.flatMap((one) => values(set, one, id)).filter((x) => x > 0);
      if (!known.length) return "";
      const ends = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
      return slider(`choose-max-${id}`, `${label}, at most${unit && ` (${unit})`}`, ends, state.max[id] ?? "", (x) => {
        if (x === "") delete state.max[id]; else state.max[id] = x;
        update();
      }, true);
    });
    const group = (legend, parts) => element("fieldset", {}, element("legend", {}, legend), ...parts);
    return [group("What is compared", menus), ...(weights.length ? [group("Weights (sum 1)", weights)] : []),
      group("Budgets", budgets)];
  }

  /** The sentence: who leads, by how much, at what cost against the runner-up, and how firmly. */
  function answer(set, { rows, weights, rule, single }) {
    const within = rows.filter((row) => row.within), [first, second] = within;
    const bold = (row) => element("strong", {}, row.model);
    if (!first) {
      const limits = Object.entries(state.max).map(([id, most]) => {
        const known = rows.map((row) => row[id]).filter((x) => x != null);
        const met = known.filter((x) => x <= most).length, least = Math.min(...known);
        return `${column(set, id).label.toLowerCase()} of at most ${amount(set, id, most)} is met by ${met} of ${rows.length}`
          + (met || !known.length ? "" : ` (smallest: ${amount(set, id, least)})`);
      });
      return [`No model meets every budget: ${limits.join("; ")}. Move a slider to the right.`];
    }
    const id = weights[0][0], costs = (row) => (state.cost === "several"
      ? `R ${row.resource.toFixed(3)}` : amount(set, id, row[id]));
    const parts = [bold(first), ` has the highest score${within.length < rows.length
      ? ` of the ${within.length} of ${rows.length} models within budget` : ` of ${rows.length} models`}: `
      + `${first.score.toFixed(4)}, at a ${set.performance.toLowerCase()} of ${first.performance.toFixed(4)} and ${costs(first)}. `];
    if (second) {
      const better = second.performance - first.performance, more = second[id] - first[id];
      const cost = state.cost === "several" ? `its R is ${Math.abs(second.resource - first.resource).toFixed(3)} ${
        second.resource < first.resource ? "lower" : "higher"}`
        : `it costs ${amount(set, id, Math.abs(more))}${first[id] > 0 ? ` (${Math.round(Math.abs(more / first[id]) * 100)} %)` : ""} ${more < 0 ? "less" : "more"}`;
      parts.push("The runner-up, ", bold(second), `, scores ${gap(first.score - second.score)} less: its ${
        set.performance.toLowerCase()} is ${gap(Math.abs(better))} ${better < 0 ? "lower" : "higher"} and ${cost}. `);
    }
    if (first.leads == null) parts.push("How firm the lead is cannot be said without the number of test images.");
    else {
      const rival = within.slice(1).reduce((a, b) => (a && a.leads >= b.leads ? a : b), null);
      parts.push(`If the test images are drawn anew, ${first.model} leads in ${percent(first.leads)} of the cases`
        + (rival && rival.leads ? ` and ${rival.model} in ${percent(rival.leads)}.` : "."));
    }
    const beyond = state.rule === "fixed" && single ? rows.filter((row) => row.x < state.lower || row.x > state.upper) : [];
    if (beyond.length) parts.push(` ${beyond.length} costs lie beyond the bounds and are clipped.`);
    return parts;
  }

  const HEADS = {
    rank: ["Rank", (x) => x ?? "–"], model: ["Model", String], score: ["PePR", fixed(4)], performance: ["", fixed(4)],
    leads: ["Leads", percent], stays: ["On the front", percent], resource: ["R", fixed(4)],
  };

  function columnsOf(set) {
    const own = set.columns.map(({ id, label, unit }) => [id, unit ? `${label} (${unit})` : label, short]);
    return [...Object.entries(HEADS).map(([id, [label, write]]) => [id, label || set.performance, write]), ...own];
  }

  /** The table's head; its rows are made once, and only what changes in them is written. */
  function makeTable(set) {
    const columns = columnsOf(set), body = element("tbody"), rows = new Map();
    const head = columns.map(([id, label]) => element("th", { scope: "col", class: id === "model" ? "" : "num" },
      element("button", { type: "button", onclick: () => {
        state.sort = state.sort === id ? `-${id}` : id;
        update();
      } }, label)));
    const made = element("table", { class: "pepr-table pepr-choose-table" }, element("caption", {}, "The models by score"),
      element("thead", {}, element("tr", {}, ...head)), body);
    box.replaceChildren(made);
    box.classList.add("pepr-tall");
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "The models by score");
    const make = (row) => {
      const cells = columns.map(([id]) => element(id === "model" ? "th" : "td",
        id === "model" ? { scope: "row" } : { class: "num" }));
      const tick = element("input", { type: "checkbox", "aria-label": `Compare ${row.model}`, onchange: () => {
        state.compare = state.compare.filter((name) => name !== row.model);
        if (tick.checked) state.compare = [...state.compare, row.model].slice(-3);
        update();
      } });
      const texts = columns.map(() => document.createTextNode(""));
      cells.forEach((cell, k) => cell.append(...(cell.tagName === "TH" ? [tick, " "] : []), texts[k]));
      return { line: element("tr", {}, ...cells), texts, tick };
    };
    return (found) => {
      const sign = state.sort.startsWith("-") ? -1 : 1, by = state.sort.replace("-", "");
      const key = (row) => (row[by] ?? (sign > 0 ? Infinity : -Infinity));
      const sorted = by === "rank" && sign > 0 ? [...found] : [...found].sort((a, b) =>
        sign * (by === "model" ? a.model.localeCompare(b.model) : key(a) - key(b) || 0));
      const wanted = state.search.toLowerCase();
      const matching = sorted.filter((row) => row.model.toLowerCase().includes(wanted));
      const lines = (showAll ? matching : matching.slice(0, FIRST_ROWS)).map((row) => {
        if (!rows.has(row.i)) rows.set(row.i, make(row));
        const { line, texts, tick } = rows.get(row.i);
        columns.forEach(([id, , write], k) => {
          const text = write(row[id]);
          if (texts[k].data !== text) texts[k].data = text;
        });
        line.className = row.within ? "" : "pepr-beyond";
        tick.checked = state.compare.includes(row.model);
        return line;
      });
      if (lines.length !== body.rows.length || lines.some((line, k) => body.rows[k] !== line)) body.replaceChildren(...lines);
      head.forEach((cell, k) => cell.setAttribute("aria-sort",
        columns[k][0] !== by ? "none" : sign > 0 ? "ascending" : "descending"));
      document.getElementById("choose-summary").textContent = `${matching.length} of ${found.length} models${
        found.length < set.models.length ? ` (${set.models.length - found.length} more have not every value)` : ""}. ${summary()}`;
      return matching;
    };
  }

  /** The choices in words, for the table's caption and for paper. */
  function summary() {
    const set = sets.get(state.set), data = [...(set.averages || []), ...set.experiments].find(({ id }) => id === state.data);
    const cost = weightsOf(set, state).map(([id, w]) => column(set, id).label.toLowerCase() + (w < 1 ? ` ${w.toFixed(2)}` : ""));
    const limits = Object.entries(state.max).map(([id, most]) => `${column(set, id).label.toLowerCase()} at most ${amount(set, id, most)}`);
    return `${set.label}: ${data.label}. Cost: ${cost.join(", ")}; alpha ${state.alpha}; R by ${RULES[state.rule]}${
      limits.length ? `; ${limits.join(", ")}` : ""}.`;
  }

  /** Up to three models over all experiments of the set, as the state scores each of them. */
  function comparison(set, weights) {
    const names = state.compare, target = document.getElementById("choose-compare");
    if (!names.length) return target.replaceChildren("Tick up to three models in the table to see them side by side in every experiment.");
    const cost = weights.length > 1 ? null : weights[0][0];
    const lines = set.experiments.map((experiment) => {
      const ranked = [...scoreOne(set, experiment, weights, state).rows].sort((a, b) => b[1].score - a[1].score);
      const cells = names.map((name) => {
        const at = ranked.findIndex(([i]) => set.models[i] === name);
        if (at < 0) return element("td", {}, "–");
        const [i, { score, performance, resource }] = ranked[at];
        return element("td", {}, element("strong", {}, score.toFixed(4)), ` (rank ${at + 1} of ${ranked.length})`, element("br"),
          `${set.performance.toLowerCase()} ${performance.toFixed(4)}, ${cost ? amount(set, cost, values(set, experiment, cost)[i]) : `R ${resource.toFixed(3)}`}`);
      });
      return element("tr", {}, element("th", { scope: "row" }, experiment.label), ...cells);
    });
    target.replaceChildren(element("div", { class: "pepr-table-box", tabindex: 0, role: "region", "aria-label": "Models compared" },
      element("table", { class: "pepr-table" }, element("caption", {}, "Score, rank among all models of the experiment, and what is behind them; budgets do not count here."),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Experiment"),
          ...names.map((name) => element("th", { scope: "col" }, name)))), element("tbody", {}, ...lines))));
  }

  // --- The chart: the page's Vega-Lite specification, with other data and axes --------------------------

  function axes(set, { rows, single, weights }) {
    const id = weights[0][0], xs = rows.map((row) => row.x), ys = rows.map((row) => row.performance);
    const sorted = ys.toSorted((a, b) => a - b), high = sorted[sorted.length - 1];
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const low = sorted.length > 20 ? quantile(sorted, 0.05) : sorted[0]; // a few that fail do not press the others together
    const margin = 0.06 * (high - low) + 0.005, log = single && left > 0;
    const { label, unit } = column(set, id);
    return {
      x: log ? { type: "log", domain: [left * 0.85, right * 1.25] } : { type: "sqrt", domain: [0, single ? right * 1.05 || 1 : 1] },
      y: { domain: [low - margin, high + margin] },
      below: sorted.filter((y) => y < low - margin).length,
      title: single ? `${label}${unit && ` (${unit})`}, ${log ? "log" : "square-root"} scale`
        : `R: ${weights.length > 1 ? "weighted costs" : label.toLowerCase()}, normalised, square-root scale`,
    };
  }

  function redraw(set, found) {
    const { x, y, title, below } = axes(set, found), holder = chart.querySelector("script");
    const looks = JSON.stringify([x, y, title, below, set.performance]);
    if (looks === shownAs) return false;
    shownAs = looks;
    const spec = JSON.parse(holder.textContent);
    for (const { encoding } of spec.layer) {
      if (encoding.x) Object.assign(encoding.x, { title, scale: { ...x, nice: false } });
      if (encoding.y) Object.assign(encoding.y, {
        title: `${set.performance}${below ? ` (${below} models lie below)` : ""}`, scale: { ...y, nice: false, zero: false } });
    }
    holder.textContent = JSON.stringify(spec).replaceAll("</", "<\\/");
    view = null;
    chart.dispatchEvent(new Event("pepr-redraw"));
    return true;
  }

  function isoclines({ rows, single, rule }, { x, y }) {
    const scores = rows.map((row) => row.score), [low, high] = [Math.min(...scores), Math.max(...scores)];
    const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2].find((size) => (high - low) / size < 9) ?? 0.5;
    const [from, to] = x.domain, log = x.type === "log", lines = [], labels = [];
    for (let level = Math.ceil(low / step); level * step <= high + step; level++) {
      for (let k = 0; k <= 40; k++) {
        const at = log ? from * (to / from) ** (k / 40) : from + (to - from) * (k / 40) ** 2;
        lines.push({ x: at, y: level * step * (1 + (single ? rule(at) : at) / state.alpha), level });
      }
      const [bottom, top] = y.domain, room = 0.04 * (top - bottom); // for the words at a line's end
      const seen = lines.slice(-41).filter((point) => point.y < top - room && point.y > bottom);
      if (seen.length) labels.push({ ...seen[seen.length - 1], text: (level * step).toFixed(step < 0.01 ? 3 : 2) });
    }
    return { isoclines: lines, labels };
  }

  function chartData(set, found) {
    const look = axes(set, found), { rows } = found, within = rows.filter((row) => row.within);
    const point = (row) => ({ ...row, each: undefined, drawn: undefined, y: row.performance,
      stays: row.stays ?? (row.front ? 1 : 0), share: percent(row.stays) });
    const accurate = within.reduce((a, b) => (a && a.performance >= b.performance ? a : b), null);
    const marks = [["highest score", within[0], -16], ["most accurate", accurate, 18],
      ...state.compare.map((name) => ["compared", rows.find((row) => row.model === name), -16])];
    const [from, to] = look.x.domain.map(look.x.type === "log" ? Math.log : Math.sqrt);
    const share = (x) => ((look.x.type === "log" ? Math.log(x) : Math.sqrt(x)) - from) / (to - from);
    const limit = found.single ? state.max[found.weights[0][0]] : undefined;
    return {
      ...isoclines(found, look),
      models: rows.map(point),
      front: rows.filter((row) => row.front).sort((a, b) => a.x - b.x).map(point),
      limits: limit === undefined || limit > look.x.domain[1] || limit < look.x.domain[0] ? [] : [{ x: limit }],
      marks: marks.filter(([, row]) => row).map(([role, row, dy]) =>
        ({ ...point(row), role, dy, align: share(row.x) > 0.55 ? "right" : "left" })),
    };
  }

  function draw(set, found) {
    if (!view) return;
    for (const [name, rows] of Object.entries(chartData(set, found))) view.data(name, rows);
    view.run();
  }

  // --- A table of one's own ------------------------------------------------------------------------

  class TableError extends Error {}

  /** Read CSV text with Vega's parser; a column more than the head has shows rows that are too long. */
  function readTable(text) {
    const head = text.replace(/^\ufeff/, "").split(/\r?\n/, 1)[0];
    const delimiter = [",", ";", "\t"].reduce((a, b) => (head.split(b).length > head.split(a).length ? b : a));
    const rows = view.parse(text.replace(/^\ufeff/, "").replace(/\r?\n|$/, `${delimiter}\u0000$&`), { type: "dsv", delimiter });
    const names = (rows.columns || Object.keys(rows[0] || {})).filter((name) => name !== "\u0000");
    if (!rows.length || names.length < 2) throw new TableError("The file has no rows, or fewer than two columns. Allowed: CSV with a line of column names and a row for each model.");
    if (names.length < head.split(delimiter).length) throw new TableError("Two columns have one name. Rename one.");
    const long = rows.findIndex((row) => row["\u0000"] !== "");
    if (long >= 0) throw new TableError(`Row ${long + 1} has more cells than the head (${names.length}). Write decimals with a point, or quote the cell that holds a "${delimiter}".`);
    return { names, rows };
  }

  const isMissing = (text) => MISSING.includes(text.trim().toLowerCase());

  /** The numbers of a column; null where it is empty. Rows are counted from 1 below the head. */
  function numbers(rows, name, label, most) {
    return rows.map((row, k) => {
      const text = row[name].trim(), where = `Row ${k + 1} (${row[label]}), column ${name}: "${text}"`;
      if (isMissing(text)) return null;
      if (!NUMBER.test(text)) throw new TableError(`${where} is not a number. Allowed: digits with a decimal point, or an empty cell.`);
      if (Number(text) < 0) throw new TableError(`${where} is below 0. Allowed: 0 or more.`);
      if (Number(text) > most) throw new TableError(`${where} is above 1. Allowed: 0 to 1; divide percentages by 100.`);
      return Number(text);
    });
  }

  function ownSet(file, { rows }, label, performance, costs, tests) {
    if (!costs.length) throw new TableError("No cost is chosen. Tick at least one column.");
    const experiment = { id: "all", label: "all rows", n_test: tests, performance: numbers(rows, performance, label, 1) };
    const set = { id: "own", label: file, performance, models: rows.map((row) => row[label]), experiments: [experiment],
      columns: costs.map((name, k) => ({ id: `c${k}`, label: name, unit: "", cost: true })) };
    costs.forEach((name, k) => { experiment[`c${k}`] = numbers(rows, name, label, Infinity); });
    if (!rows.some((_, k) => experiment.performance[k] != null && set.columns.every(({ id }) => experiment[id][k] != null))) {
      throw new TableError(`No row has a value in each of: ${[performance, ...costs].join(", ")}.`);
    }
    return set;
  }

  async function open(file) {
    const error = document.getElementById("choose-error"), target = document.getElementById("choose-columns");
    target.replaceChildren();
    error.textContent = "";
    let read;
    try {
      read = readTable(await file.text());
    } catch (problem) {
      error.textContent = problem instanceof TableError ? problem.message : `${file.name} cannot be read as CSV.`;
      return;
    }
    const { names, rows } = read;
    const numeric = names.filter((name) => rows.every((row) => isMissing(row[name]) || NUMBER.test(row[name].trim())));
    const fraction = (name) => rows.every((row) => isMissing(row[name]) || Number(row[name]) <= 1);
    const performance = numeric.find((name) => /acc|auc|f1|dice|perf|score/i.test(name) && fraction(name))
      ?? numeric.find(fraction) ?? names[1];
    const label = names.find((name) => !numeric.includes(name)) ?? names[0];
    const others = names.filter((name) => name !== performance && name !== label);
    const chosen = others.filter((name) => numeric.includes(name) && !/seed|fold|epoch|^n_|index/i.test(name));
    const apply = () => {
      error.textContent = "";
      try {
        const ticked = [...target.querySelectorAll("[type=checkbox]:checked")].map((tick) => tick.value);
        const [name, by] = ["choose-name", "choose-performance"].map((id) => document.getElementById(id).value);
        const tests = Math.floor(Number(document.getElementById("choose-tests").value));
        sets.set("own", ownSet(file.name, read, name, by, ticked.filter((one) => one !== by), tests > 0 ? tests : null));
        state = { ...state, ...DEFAULTS, set: "own", data: "all", weights: {}, max: {}, compare: [] };
        settle();
        build();
      } catch (problem) {
        if (!(problem instanceof TableError)) throw problem;
        error.textContent = problem.message;
      }
    };
    const options = names.map((name) => [name, name]);
    target.replaceChildren(select("choose-name", "Name of a model", options, label, apply),
      select("choose-performance", "Performance, 0 to 1", options, performance, apply),
      element("p", {}, element("label", { for: "choose-tests" }, "Test images, for how firm a lead is"),
        element("input", { id: "choose-tests", type: "number", min: 1, step: 1, onchange: apply })),
      element("fieldset", {}, element("legend", {}, "Costs and budgets"), ...names.filter((name) => name !== label).map((name) =>
        element("label", {}, element("input", { type: "checkbox", value: name, checked: chosen.includes(name), onchange: apply }), ` ${name}`))));
    apply();
  }

  // --- Everything together -------------------------------------------------------------------------

  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

  /** The table as it stands, with every digit. */
  function csv() {
    const set = sets.get(state.set), ids = [...columnsOf(set).map(([id, label]) => [id, id in HEADS ? id : label]),
      ["within", "within_budget"], ["front", "pareto"]];
    const lines = table(found.rows).map((row) => ids.map(([id]) => quoted(String(row[id] ?? ("")))));
    return `${[ids.map(([, name]) => quoted(name)), ...lines].map((line) => line.join(",")).join("\n")}\n`;
  }

  let found;

  /** Compute and show the state; nothing is built anew. */
  function update() {
    const set = sets.get(state.set), problem = faults(set), shown = document.getElementById("choose-answer");
    clearTimeout(addressTimer);
    addressTimer = setTimeout(() => history.replaceState(null, "", address()), 250); // browsers limit its rate
    if (problem) return shown.replaceChildren(problem);
    found = rank(set, state);
    shown.replaceChildren(...answer(set, found));
    for (const output of place.querySelectorAll("output[data-weight]")) {
      output.textContent = (Object.fromEntries(found.weights)[output.dataset.weight] ?? 0).toFixed(2);
    }
    table(found.rows);
    comparison(set, found.weights);
    if (!redraw(set, found)) draw(set, found);
  }

  function faults(set) {
    const { rule, lower, upper } = state, costs = weightsOf(set, state);
    if (rule === "fixed" && !(lower !== "" && upper !== "" && lower < upper)) {
      return `The bounds are "${lower}" and "${upper}". Allowed: two numbers, the first one smaller.`;
    }
    const zero = costs.find(([id]) => experimentsOf(set, state).some((one) => values(set, one, id).some((x) => x === 0)));
    return rule === "log" && zero ? `${column(set, zero[0]).label} is 0 for a model. The logarithm needs costs above 0: choose another rule.` : "";
  }

  /** Build controls and table for another set or cost, and show the state. */
  function build() {
    const focused = document.activeElement?.id;
    place.querySelector(".pepr-controls").replaceChildren(...controls());
    document.getElementById(focused)?.focus();
    table = makeTable(sets.get(state.set));
    document.getElementById("choose-search").value = state.search;
    update();
  }

  function frame() {
    const input = element("input", { id: "choose-file", type: "file", accept: ".csv,.tsv,.txt,text/csv",
      onchange: () => input.files[0] && open(input.files[0]) });
    const target = document.getElementById("choose-own");
    target.replaceChildren(element("p", {}, element("label", { for: "choose-file" }, "A CSV file, or drop one here: "), input),
      element("div", { id: "choose-columns" }), element("p", { id: "choose-error", role: "alert" }));
    for (const zone of [target, place]) {
      zone.addEventListener("dragover", (event) => event.preventDefault());
      zone.addEventListener("drop", (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
      });
    }
    place.replaceChildren(element("p", { id: "choose-answer", role: "status", "aria-live": "polite" }),
      element("form", { class: "pepr-controls", onsubmit: (event) => event.preventDefault() }));
    const search = element("input", { id: "choose-search", type: "search", oninput: () => { state.search = search.value; update(); } });
    const save = element("button", { type: "button", onclick: () => {
      const link = element("a", { download: "models-by-score.csv", href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } }, "Save the view (CSV)");
    const all = element("button", { type: "button", "aria-pressed": "false", onclick: () => {
      showAll = !showAll;
      all.setAttribute("aria-pressed", showAll);
      update();
    } }, "Show all rows");
    box.before(element("div", { class: "pepr-filter" }, element("label", { for: "choose-search" }, "Search "), search, all, save),
      element("p", { id: "choose-summary" }));
  }

  function start() {
    frame();
    readAddress();
    build();
    window.peprChoose = { csv, rows: () => found.rows };
  }

  chart.addEventListener("pepr-drawn", (event) => {
    view = event.detail;
    if (!table) start(); else draw(sets.get(state.set), found);
  });
  window.addEventListener("hashchange", () => { if (location.hash.includes("=") && table) { readAddress(); build(); } });
})();
