// The page "Choose a model": the score of a table, live. Loaded on that page alone, which holds the
// data (#choose-data) and, for readers without scripts, the default view as a picture and a table.
// What is computed here is pepr_utils.scoring's: normalize, pepr, select and pareto_front;
// tests/book/test_choose.py holds both against each other.
(() => {
  "use strict";
  const DRAWS = 1000; // resamplings of the test images
  const FIRST_ROWS = 40; // of the table, until all are asked for
  const MOST = 1000; // rows, and columns, of a table of one's own
  const RULES = {
    minmax: "min-max (the paper's)", max: "share of the largest", log: "min-max of the logarithm",
    quantile: "5 % to 95 % quantile, clipped", fixed: "between bounds of your own, clipped",
  };
  const MISSING = ["", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "nat", "#n/a"];
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const DEFAULTS = {
    set: "", data: "", cost: "", alpha: 1, rule: "minmax", lower: "", upper: "", compare: "", search: "", sort: "rank",
  };

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
    const single = chosen.length === 1 && weights.length === 1, first = weights[0][0];
    const rows = [], limits = limitsOf(set, state);
    for (const i of set.models.keys()) {
      if (!each.every((one) => one.rows.has(i))) continue;
      const row = { i, model: set.models[i], each: each.map((one) => one.rows.get(i)) };
      for (const name of ["performance", "resource", "score"]) row[name] = mean(row.each.map((one) => one[name]));
      for (const { id } of set.columns) {
        const found = chosen.map((experiment) => values(set, experiment, id)[i]);
        row[id] = found.some((x) => x == null) ? null : mean(found);
      }
      row.within = limits.every(([id, most]) => row[id] != null && row[id] <= most);
      row.x = single ? row[first] : row.resource;
      rows.push(row);
    }
    rows.sort((a, b) => b.within - a.within || b.score - a.score || a.resource - b.resource
      || a[first] - b[first] || a.i - b.i);
    rows.forEach((row, place) => { row.rank = row.within ? place + 1 : null; });
    const byCost = [...rows].sort((a, b) => a.x - b.x);
    const front = timesOnFront(byCost, (row) => [row.performance], 1);
    for (const row of rows) row.front = front.get(row) === 1;
    if (chosen.every((experiment) => experiment.n_test)) resample(chosen, state, rows, byCost);
    return { rows, single, weights, rule: each[0].rule };
  }

  /** How often no other row beats a row: it is the best of its cost, and better than all cheaper ones. */
  function timesOnFront(byCost, performances, n) {
    const times = new Map(), best = new Float64Array(n).fill(-1);
    for (let start = 0, end; start < byCost.length; start = end) {
      for (end = start + 1; byCost[end]?.x === byCost[start].x;) end++;
      const equals = byCost.slice(start, end).map((row) => [row, performances(row)]);
      const top = new Float64Array(n).fill(-1);
      for (const [, p] of equals) for (let k = 0; k < n; k++) if (p[k] > top[k]) top[k] = p[k];
      for (const [row, p] of equals) {
        let count = 0;
        for (let k = 0; k < n; k++) if (p[k] === top[k] && p[k] > best[k]) count++;
        times.set(row, count);
      }
      for (let k = 0; k < n; k++) if (top[k] > best[k]) best[k] = top[k];
    }
    return times;
  }

  // --- How firm it is: the test images are drawn anew, a binomial draw for each model ------------

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
  const fronts = new WeakMap(); // by experiment: the last shares, and the order of costs that gave them

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
    const samples = chosen.map(draws);
    const joined = (row, factors) => { // the draws of a row, joined over the experiments
      const sum = new Float64Array(DRAWS);
      factors.forEach((factor, e) => {
        const drawn = samples[e][row.i];
        for (let k = 0; k < DRAWS; k++) sum[k] += drawn[k] * factor;
      });
      return sum;
    };
    const best = new Float64Array(DRAWS).fill(-1), leader = new Int32Array(DRAWS).fill(-1);
    rows.forEach((row, place) => {
      row.leads = 0;
      if (!row.within) return;
      const score = joined(row, row.each.map(({ resource }) => 1 / (1 + resource / state.alpha)));
      for (let k = 0; k < DRAWS; k++) {
        if (score[k] <= best[k]) continue;
        best[k] = score[k];
        leader[k] = place;
      }
    });
    for (const place of leader) if (place >= 0) rows[place].leads += 1 / DRAWS;
    const order = [chosen.length, ...byCost.map((row) => `${row.i}:${row.x}`)].join();
    if (fronts.get(chosen[0])?.order !== order) { // no slider but that of a weight changes it
      const times = timesOnFront(byCost, (row) => joined(row, chosen.map(() => 1)), DRAWS);
      fronts.set(chosen[0], { order, stays: new Map(byCost.map((row) => [row.i, times.get(row) / DRAWS])) });
    }
    for (const row of rows) row.stays = fronts.get(chosen[0]).stays.get(row.i);
  }

  // --- The state: what the page's address holds ------------------------------------------------------

  const byId = (id) => document.getElementById(id);
  const offered = JSON.parse(byId("choose-data").textContent);
  for (const set of offered.filter(({ shares }) => shares)) { // what is as in the first set is not there twice
    const first = (id) => offered[0].experiments.find((one) => one.id === id);
    set.experiments = set.experiments.map((one) => ({ ...first(one.id), ...one }));
  }
  const sets = new Map(offered.map((set) => [set.id, set]));
  const place = byId("choose"), chart = document.querySelector(".pepr-chart[data-name=choose]");
  const box = document.querySelector('.pepr-table-box:has(+ .pepr-links [download="choose-top.csv"])');
  let state, found, table, view, shownAs, addressTimer, showAll = false;
  let drawing = true, again = false; // the page draws the chart once by itself

  const column = (set, id) => set.columns.find((one) => one.id === id);
  const costsOf = (set) => set.columns.filter((one) => one.cost);
  const viewsOf = (set) => [...set.averages, ...set.experiments];
  const limitsOf = (set, state) => set.columns.map(({ id }) => [id, state[`max-${id}`]])
    .filter(([, most]) => typeof most === "number");
  const experimentsOf = (set, { data }) => {
    const of = set.averages.find((one) => one.id === data)?.of ?? [data];
    return set.experiments.filter((one) => of.includes(one.id));
  };

  /** The costs that count, with weights that sum to 1. */
  function weightsOf(set, state) {
    if (state.cost !== "several") return [[state.cost, 1]];
    const given = costsOf(set).map(({ id }) => [id, Number(state[`weight-${id}`] ?? 1)]);
    const total = given.reduce((sum, [, w]) => sum + w, 0);
    return total > 0 ? given.filter(([, w]) => w > 0).map(([id, w]) => [id, w / total])
      : given.map(([id]) => [id, 1 / given.length]);
  }

  function readAddress() {
    state = { ...DEFAULTS };
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      state[name] = NUMBER.test(text) ? Number(text) : text;
    }
    if (state.set === "own" && !sets.has("own")) {
      byId("choose-own").open = true;
      byId("choose-error").textContent = "The address is that of a table of one's own, which it does not hold. Choose the file again.";
    }
    settle();
  }

  /** Replace what the set chosen does not have. */
  function settle() {
    if (!sets.has(state.set)) state.set = offered[0].id;
    const set = sets.get(state.set), costs = costsOf(set).map(({ id }) => id);
    if (!experimentsOf(set, state).length) state.data = viewsOf(set)[0].id;
    if (![...costs, ...(costs[1] ? ["several"] : [])].includes(state.cost)) state.cost = costs[0];
    if (!(state.rule in RULES) || (state.rule === "fixed" && state.cost === "several")) state.rule = "minmax";
    state.alpha = Math.min(Math.max(Number(state.alpha) || 1, 1), 1000);
    for (const name of Object.keys(state)) {
      if (!(name in DEFAULTS) && !column(set, name.replace(/^(max|weight)-/, ""))) delete state[name];
    }
  }

  function address() {
    const set = sets.get(state.set);
    const usual = { ...DEFAULTS, set: offered[0].id, data: viewsOf(set)[0].id, cost: costsOf(set)[0].id };
    return `#${new URLSearchParams(Object.entries(state).filter(([name, x]) => x !== "" && x !== usual[name]))}`;
  }

  const compared = () => String(state.compare).split("|").filter(Boolean);

  // --- Controls ------------------------------------------------------------------------------------

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...content);
    return made;
  }

  const labelled = (label, control, shown = control) =>
    element("p", {}, element("label", { for: control.id }, label), shown);

  function menu(id, label, options, value, changed) {
    const made = element("select", { id, onchange: () => changed(made.value) });
    for (const [key, text] of options) made.add(new Option(text, key, false, key === value));
    return labelled(label, made);
  }

  /** A slider on a logarithmic scale, with a field for the exact number; `open`: its end is no limit. */
  function slider(id, label, [low, high], value, changed, open) {
    const steps = 300, ratio = Math.log(high / low) || 1;
    const at = (x) => (x === "" ? steps : Math.round((Math.log(Math.max(x, low) / low) / ratio) * steps));
    const range = element("input", { id, type: "range", min: 0, max: steps, value: at(value) });
    const field = element("input", { type: "number", min: 0, step: "any", value, placeholder: "any", "aria-label": `${label}, exact` });
    const say = () => range.setAttribute("aria-valuetext", field.value || "any");
    const tell = () => {
      say();
      changed(field.value === "" ? "" : Number(field.value));
    };
    range.addEventListener("input", () => {
      const x = low * Math.exp((range.value / steps) * ratio), size = 10 ** (Math.floor(Math.log10(x)) - 2);
      const rounded = Number((Math.ceil(x / size - 1e-6) * size).toPrecision(3)); // up, or the cheapest is out
      field.value = open && Number(range.value) === steps ? "" : rounded;
      tell();
    });
    field.addEventListener("input", () => {
      if (!field.validity.valid || (field.value === "" && !open)) return;
      range.value = at(field.value === "" ? "" : Number(field.value));
      tell();
    });
    say();
    return labelled(label, range, element("span", {}, range, field));
  }

  function controls() {
    const set = sets.get(state.set), costs = costsOf(set), several = state.cost === "several";
    const change = (name, then) => (value) => {
      state[name] = value;
      settle();
      then();
    };
    const named = (list) => list.map(({ id, label }) => [id, label]);
    const rules = Object.entries(RULES).filter(([id]) => id !== "fixed" || !several);
    const bound = (name, label) => labelled(label, element("input", { id: `choose-${name}`, type: "number", min: 0, step: "any",
      value: state[name], oninput: (event) => change(name, update)(event.target.value && Number(event.target.value)) }));
    const weight = ({ id, label }) => {
      const range = element("input", { id: `choose-weight-${id}`, type: "range", min: 0, max: 1, step: 0.01,
        value: state[`weight-${id}`] ?? 1, oninput: () => change(`weight-${id}`, update)(Number(range.value)) });
      return labelled(`Weight of ${small(label)}`, range,
        element("span", {}, range, element("output", { for: range.id, "data-weight": id })));
    };
    const budget = ({ id, label, unit }) => {
      const known = set.experiments.flatMap((one) => values(set, one, id)).filter((x) => x > 0).sort((a, b) => a - b);
      return known.length ? slider(`choose-max-${id}`, `${label}, at most${unit && ` (${unit})`}`,
        [known[0], known[known.length - 1]], state[`max-${id}`] ?? "", change(`max-${id}`, update), true) : "";
    };
    const group = (legend, ...parts) => element("fieldset", {}, element("legend", {}, legend), ...parts);
    return [
      group("What is compared",
        menu("choose-set", "Data", named([...sets.values()]), state.set, change("set", build)),
        menu("choose-view", "Images and training", named(viewsOf(set)), state.data, change("data", build)),
        menu("choose-cost", "Cost", [...named(costs), ...(costs[1] ? [["several", "several, weighted"]] : [])],
          state.cost, change("cost", build)),
        menu("choose-rule", "From cost to R", rules, state.rule, change("rule", build)),
        ...(state.rule === "fixed" ? [bound("lower", "R is 0 at"), bound("upper", "R is 1 at")] : []),
        slider("choose-alpha", "Alpha: weight of performance", [1, 1000], state.alpha, change("alpha", update))),
      ...(several ? [group("Weights, which sum to 1", ...costs.map(weight))] : []),
      group("Budgets", ...set.columns.map(budget)),
    ];
  }

  // --- Words ---------------------------------------------------------------------------------------

  const digits = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
  const short = (x) => (x == null ? "–" : digits.format(x));
  const fixed = (x) => (x == null ? "–" : x.toFixed(4));
  const gap = (x) => (x > 0 && x < 0.001 ? x.toPrecision(1) : x.toFixed(4));
  const percent = (x) => (x == null ? "–" : x > 0 && x < 0.01 ? "< 1\u00a0%" : `${Math.round(x * 100)}\u00a0%`);
  const amount = (set, id, x) => `${short(x)}\u00a0${column(set, id).unit}`.trim();
  const small = (label) => (/^[A-Z][a-z]/.test(label) ? label[0].toLowerCase() + label.slice(1) : label);
  const limitWords = (set) => limitsOf(set, state).map(([id, most]) =>
    `${small(column(set, id).label)} of at most ${amount(set, id, most)}`);

  /** The sentence: who leads, by how much, at what cost against the runner-up, and how firmly. */
  function answer(set, { rows, weights, single }) {
    const within = rows.filter((row) => row.within), [first, second] = within;
    const id = weights[0][0], several = weights.length > 1, name = small(set.performance);
    if (!first) {
      const met = limitsOf(set, state).map(([limit, most]) => rows.filter((row) => row[limit] != null && row[limit] <= most).length);
      const least = limitsOf(set, state).map(([limit]) => Math.min(...rows.map((row) => row[limit] ?? Infinity)));
      const said = limitWords(set).map((words, k) => `${words} is met by ${met[k]} of ${rows.length}${
        met[k] || least[k] === Infinity ? "" : ` (smallest: ${short(least[k])})`}`);
      return [`No model meets every budget: ${said.join("; ")}. Raise a budget.`];
    }
    const bold = (row) => element("strong", {}, row.model);
    const parts = [bold(first), ` has the highest score of ${within.length < rows.length
      ? `the ${within.length} of ${rows.length} models within budget` : `${rows.length} models`}: ${fixed(first.score)} (${
      name} ${fixed(first.performance)}, ${several ? `R ${fixed(first.resource)}` : (column(set, id).unit ? "" : `${small(column(set, id).label)} `) + amount(set, id, first[id])}). `];
    if (second) {
      const more = several ? second.resource - first.resource : second[id] - first[id], size = Math.abs(more);
      const share = !several && first[id] > 0 ? ` (${percent(size / first[id])})` : "";
      const than = (x, text, less, greater) => (x === 0 ? "the same" : `${text} ${x < 0 ? less : greater}`);
      const better = second.performance - first.performance;
      parts.push("The runner-up, ", bold(second), `, scores ${gap(first.score - second.score)} less: its ${name} is ${
        than(better, gap(Math.abs(better)), "lower", "higher")}, and it costs ${
        than(more, (several ? `${gap(size)} of R` : amount(set, id, size)) + share, "less", "more")}. `);
    }
    if (first.leads == null) {
      parts.push("How firm the lead is cannot be said without the number of test images. ");
    } else if (second) {
      const rival = within.slice(1).reduce((a, b) => (a.leads >= b.leads ? a : b));
      parts.push(`If the test images are drawn anew, ${first.model} leads in ${percent(first.leads)} of the cases`
        + (rival.leads ? ` and ${rival.model} in ${percent(rival.leads)}. ` : ". "));
    }
    const beyond = state.rule === "fixed" && single ? rows.filter((row) => row.x < state.lower || row.x > state.upper) : [];
    if (beyond.length) parts.push(`The costs of ${beyond.length} models lie beyond the bounds and are clipped.`);
    return parts;
  }

  /** The choices in words, over the table and on paper. */
  function summary(set, { rows, weights }, matching) {
    const costs = weights.map(([id, w]) => small(column(set, id).label) + (w < 1 ? ` ${w.toFixed(2)}` : ""));
    const without = set.models.length - rows.length;
    return `${matching.length} of ${rows.length} models${without ? ` (${without} more lack a value)` : ""}. ${set.label}: ${
      viewsOf(set).find(({ id }) => id === state.data).label}. Cost: ${costs.join(", ")}; alpha ${state.alpha}; R by ${
      RULES[state.rule]}${["", ...limitWords(set)].join("; ")}.`;
  }

  /** What cannot be scored, in words; empty where everything can. */
  function fault(set) {
    const { rule, lower, upper } = state;
    if (rule === "fixed" && (lower === "" || upper === "" || !(lower < upper))) {
      return `The bounds are "${lower}" and "${upper}". Allowed: two numbers, the first one smaller.`;
    }
    const zero = rule === "log" && weightsOf(set, state).find(([id]) =>
      experimentsOf(set, state).some((one) => values(set, one, id).includes(0)));
    return zero ? `${column(set, zero[0]).label} is 0 for a model. The logarithm needs costs above 0: choose another rule.` : "";
  }

  // --- The table and the comparison ------------------------------------------------------------------

  const columnsOf = (set) => [
    ["rank", "Rank", (x) => x ?? "–"], ["model", "Model", String], ["score", "PePR", fixed],
    ["performance", set.performance, fixed], ["leads", "Leads", percent], ["stays", "On the front", percent],
    ["resource", "R", fixed], ...set.columns.map(({ id, label, unit }) => [id, unit ? `${label} (${unit})` : label, short]),
  ];

  const tableOf = (caption, heads, body) => element("table", { class: "pepr-table pepr-choose-table" },
    element("caption", {}, caption), element("thead", {}, element("tr", {}, ...heads)), body);

  /** The rows that the search finds, in the order asked for. */
  function matchingRows({ rows }) {
    const sign = String(state.sort).startsWith("-") ? -1 : 1, by = String(state.sort).replace("-", "");
    const key = (row) => row[by] ?? sign * Infinity, wanted = String(state.search).toLowerCase();
    const ordered = by === "rank" && sign > 0 ? rows : [...rows].sort((a, b) =>
      sign * (by === "model" ? a.model.localeCompare(b.model) : key(a) - key(b) || 0));
    return ordered.filter((row) => row.model.toLowerCase().includes(wanted));
  }

  /** Make the table; return what fills it. Its rows are made once, and only what changes is written. */
  function makeTable(set) {
    const columns = columnsOf(set), body = element("tbody"), made = new Map();
    const heads = columns.map(([id, label]) => element("th", { scope: "col", class: id !== "model" && "num" },
      element("button", { type: "button", onclick: () => {
        state.sort = state.sort === id ? `-${id}` : id;
        update();
      } }, label)));
    const make = (row) => {
      const tick = element("input", { type: "checkbox", "aria-label": `Compare ${row.model}`, onchange: () => {
        const others = compared().filter((name) => name !== row.model);
        state.compare = (tick.checked ? [...others, row.model].slice(-3) : others).join("|");
        update();
      } });
      const texts = columns.map(() => document.createTextNode(""));
      const cells = columns.map(([id], k) => (id === "model" ? element("th", { scope: "row" }, tick, " ", texts[k])
        : element("td", { class: "num" }, texts[k])));
      return { line: element("tr", {}, ...cells), texts, tick };
    };
    box.replaceChildren(tableOf("The models by score", heads, body));
    return (found) => {
      const matching = matchingRows(found), ticked = compared();
      const lines = matching.slice(0, showAll ? matching.length : FIRST_ROWS).map((row) => {
        if (!made.has(row.i)) made.set(row.i, make(row));
        const { line, texts, tick } = made.get(row.i);
        columns.forEach(([id, , write], k) => {
          const text = String(write(row[id]));
          if (texts[k].data !== text) texts[k].data = text;
        });
        line.className = row.within ? "" : "pepr-beyond";
        tick.checked = ticked.includes(row.model);
        return line;
      });
      if (lines.length !== body.rows.length || lines.some((line, k) => body.rows[k] !== line)) body.replaceChildren(...lines);
      const by = String(state.sort).replace("-", ""), way = by === state.sort ? "ascending" : "descending";
      heads.forEach((head, k) => head.setAttribute("aria-sort", columns[k][0] === by ? way : "none"));
      byId("choose-summary").textContent = summary(set, found, matching);
    };
  }

  /** Up to three models over all experiments of the set, each scored as the state says. */
  function comparison(set, weights) {
    const names = compared().filter((name) => set.models.includes(name)), [id] = weights[0];
    if (!names.length) return ["Tick up to three models in the table to see them side by side in every experiment."];
    const head = (text) => element("th", { scope: "col" }, text);
    const lines = set.experiments.map((experiment) => {
      const { rows } = scoreOne(set, experiment, weights, state), scores = [...rows.values()].map(({ score }) => score);
      const cells = names.map((name) => {
        const i = set.models.indexOf(name), row = rows.get(i);
        if (!row) return element("td", {}, "–");
        const better = scores.filter((score) => score > row.score).length;
        return element("td", {}, element("strong", {}, fixed(row.score)), ` (rank ${better + 1} of ${scores.length}): ${
          small(set.performance)} ${fixed(row.performance)}, ${weights.length > 1 ? `R ${fixed(row.resource)}`
          : amount(set, id, values(set, experiment, id)[i])}`);
      });
      return element("tr", {}, element("th", { scope: "row" }, experiment.label), ...cells);
    });
    return [element("div", { class: "pepr-table-box", tabindex: 0, role: "region", "aria-label": "Models compared" },
      tableOf("Score, rank among all models of the experiment, and what is behind them; budgets do not count here",
        [head("Experiment"), ...names.map(head)], element("tbody", {}, ...lines)))];
  }

  // A formula to a spreadsheet gets an apostrophe, unless it is a number.
  const harmless = (value) => (/^[=+@\t\r-]/.test(value) && !/^[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*%?$/.test(value) ? `'${value}` : value);

  const quoted = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

  /** The table as it stands, with every digit. */
  function csv() {
    const own = sets.get(state.set).columns.map(({ id, label, unit }) => [id, unit ? `${label} (${unit})` : label]);
    const columns = [...["rank", "model", "score", "performance", "resource"].map((id) => [id, id]), ...own,
      ["within", "within_budget"], ["front", "pareto"], ["stays", "share_on_front"], ["leads", "share_leads"]];
    const lines = matchingRows(found).map((row) => columns.map(([id]) => row[id] ?? ""));
    return [columns.map(([, name]) => name), ...lines].map((line) => `${line.map((x) => quoted(harmless(String(x)))).join(",")}\n`).join("");
  }

  // --- The chart: the page's Vega-Lite specification, with other data and axes -------------------------

  function axes(set, { rows, single, weights }) {
    const { label, unit } = column(set, weights[0][0]), xs = rows.map((row) => row.x);
    const ys = rows.map((row) => row.performance).sort((a, b) => a - b), high = ys[ys.length - 1];
    const low = ys.length > 20 ? quantile(ys, 0.05) : ys[0]; // a few that fail do not press the others together
    const margin = 0.06 * (high - low) + 0.005, below = ys.filter((y) => y < low - margin).length;
    const [left, right] = [Math.min(...xs), Math.max(...xs)], log = single && left > 0;
    const name = single ? `${label}${unit && ` (${unit})`}` : `R: ${weights.length > 1 ? "weighted costs" : small(label)}, normalised`;
    return {
      x: { title: `${name}, ${log ? "log" : "square-root"} scale`, scale: { nice: false, type: log ? "log" : "sqrt",
        domain: log ? [left * 0.85, right * 1.25] : [0, single ? right * 1.05 || 1 : 1] } },
      y: { title: set.performance + (below ? ` (${below} models lie below)` : ""),
        scale: { nice: false, zero: false, domain: [low - margin, high + margin] } },
    };
  }

  function isoclines({ rows, single, rule }, { x, y }) {
    const scores = rows.map((row) => row.score), [low, high] = [Math.min(...scores), Math.max(...scores)];
    const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2].find((size) => (high - low) / size < 9) ?? 0.5;
    const [from, to] = x.scale.domain, [bottom, top] = y.scale.domain, lines = [], labels = [];
    for (let level = Math.ceil(low / step); level * step <= high + step; level++) {
      const line = Array.from({ length: 41 }, (_, k) => {
        const at = x.scale.type === "log" ? from * (to / from) ** (k / 40) : to * (k / 40) ** 2;
        return { x: at, y: level * step * (1 + (single ? rule(at) : at) / state.alpha), level };
      });
      const end = line.findLast((point) => point.y < top - 0.04 * (top - bottom) && point.y > bottom);
      if (end) labels.push({ ...end, text: (level * step).toFixed(step < 0.01 ? 3 : 2) });
      lines.push(...line);
    }
    return { isoclines: lines, labels };
  }

  function chartData(set, found, look) {
    const { rows, single, weights } = found, { type, domain } = look.x.scale;
    const point = ({ model, x, performance, score, within, stays, front }) =>
      ({ model, x, y: performance, score, within, stays: stays ?? Number(front), share: percent(stays) });
    const within = rows.filter((row) => row.within), accurate = [...within].sort((a, b) => b.performance - a.performance)[0];
    const marks = [["highest score", within[0], -16], ["most accurate", accurate, 18],
      ...compared().map((name) => ["compared", rows.find((row) => row.model === name), -16])];
    const [from, to] = domain.map(type === "log" ? Math.log : Math.sqrt);
    const onRight = (x) => ((type === "log" ? Math.log(x) : Math.sqrt(x)) - from) / (to - from) > 0.55;
    const limit = single ? state[`max-${weights[0][0]}`] : undefined;
    return {
      ...isoclines(found, look),
      models: rows.map(point),
      front: rows.filter((row) => row.front).sort((a, b) => a.x - b.x).map(point),
      limits: limit > domain[0] && limit < domain[1] ? [{ x: limit }] : [],
      marks: marks.filter(([, row]) => row).map(([role, row, dy]) =>
        ({ ...point(row), role, dy, align: onRight(row.x) ? "right" : "left" })),
    };
  }

  /** Give the chart its data; with other axes it has to be drawn anew first, which comes back here. */
  function draw() {
    const set = sets.get(state.set), look = axes(set, found), looks = JSON.stringify(look);
    const data = chartData(set, found, look);
    if (looks !== shownAs) {
      const holder = chart.querySelector("script"), spec = JSON.parse(holder.textContent);
      for (const layer of spec.layer) {
        layer.data.values = data[layer.data.name];
        for (const name of ["x", "y"]) if (layer.encoding[name]) Object.assign(layer.encoding[name], look[name]);
      }
      holder.textContent = JSON.stringify(spec);
      shownAs = looks;
      if (!drawing) redraw();
      else again = chart.querySelector(".pepr-live") !== null; // it has begun, with other axes
    } else if (!drawing) {
      for (const [name, rows] of Object.entries(data)) view.data(name, rows);
      view.run();
      chart.querySelector("[role=graphics-document]").setAttribute("aria-label", byId("choose-answer").textContent);
    }
  }

  function redraw() {
    [drawing, again] = [true, false];
    chart.dispatchEvent(new Event("pepr-redraw"));
  }

  // --- A table of one's own ------------------------------------------------------------------------

  class TableError extends Error {}

  /** Read CSV text with Vega's parser; a column more than the head has shows rows that are too long. */
  function readTable(text) {
    const lines = text.replace(/^\ufeff/, ""), head = lines.split(/\r?\n/, 1)[0];
    const delimiter = [",", ";", "\t"].reduce((a, b) => (head.split(b).length > head.split(a).length ? b : a));
    if (!view) throw new TableError("The page is still loading. Choose the file again.");
    const read = (given) => view.parse(given, { type: "dsv", delimiter }), places = [...Array(MOST).keys()].join(delimiter);
    const names = Object.values(read(`${places}\n${head}`)[0] ?? {}).filter((name) => name.trim());
    const rows = read(lines.replace(/\r?\n|$/, `${delimiter}\u0000$&`)), twice = names.find((name, k) => names.indexOf(name) < k);
    const long = rows.findIndex((row) => row["\u0000"] !== "");
    if (!rows.length || names.length < 2) throw new TableError("The file has no rows, or one column. Allowed: CSV with a line of column names and a row for each model.");
    if (rows.length > MOST) throw new TableError(`The file has ${rows.length} rows. Allowed here: ${MOST}; pepr select takes any number.`);
    if (twice) throw new TableError(`Two columns have the name ${twice}. Rename one.`);
    if (long >= 0) throw new TableError(`Row ${long + 1} has more cells than the head. Write decimals with a point, or quote the cell that holds a "${delimiter}".`);
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

  function ownSet(label, rows, name, performance, costs, tests) {
    const columns = costs.map((cost, k) => ({ id: `c${k + 1}`, label: cost, unit: "", cost: true }));
    const experiment = { id: "all", label: "all rows", n_test: tests, performance: numbers(rows, performance, name, 1) };
    if (!costs.length) throw new TableError("No cost is chosen. Tick at least one column of numbers.");
    for (const one of columns) experiment[one.id] = numbers(rows, one.label, name, Infinity);
    const whole = (_, k) => [experiment.performance, ...columns.map(({ id }) => experiment[id])].every((list) => list[k] != null);
    if (!rows.some(whole)) throw new TableError(`No row has a value in each of: ${[performance, ...costs].join(", ")}.`);
    return { id: "own", label, performance, models: rows.map((row) => row[name]), columns, averages: [], experiments: [experiment] };
  }

  /** Read a file, guess its columns, and rank it; every choice of columns ranks it anew. */
  async function open(file) {
    const target = byId("choose-columns");
    const attempt = (action) => {
      byId("choose-error").textContent = "";
      try {
        return action();
      } catch (problem) {
        if (!(problem instanceof TableError)) throw problem;
        byId("choose-error").textContent = problem.message;
      }
    };
    target.replaceChildren();
    const text = await file.text(), read = attempt(() => readTable(text));
    if (!read) return;
    const { names, rows } = read;
    const filled = (name) => rows.map((row) => row[name].trim()).filter((cell) => !isMissing(cell));
    const numeric = names.filter((name) => filled(name).every((cell) => NUMBER.test(cell)));
    const fractions = numeric.filter((name) => filled(name).every((cell) => Number(cell) <= 1));
    const label = names.find((name) => !numeric.includes(name)) ?? names[0];
    const performance = fractions.find((name) => /acc|auc|f1|dice|perf|score/i.test(name)) ?? fractions[0] ?? names[1];
    const isCost = (name) => numeric.includes(name) && ![performance, label].includes(name) && !/seed|fold|epoch|index|^n_test/i.test(name);
    const apply = () => attempt(() => {
      const [name, by] = [byId("choose-name").value, byId("choose-performance").value];
      const costs = [...target.querySelectorAll(":checked[type=checkbox]")].map((tick) => tick.value).filter((one) => one !== by);
      sets.set("own", ownSet(file.name, rows, name, by, costs, Math.floor(byId("choose-tests").value) || null));
      state = { ...DEFAULTS, alpha: state.alpha, set: "own" };
      settle();
      build();
    });
    const options = names.map((name) => [name, name]);
    target.replaceChildren(
      menu("choose-name", "Name of a model", options, label, apply),
      menu("choose-performance", "Performance, 0 to 1", options, performance, apply),
      labelled("Test images (for how firm a lead is)", element("input", { id: "choose-tests", type: "number", min: 1, onchange: apply })),
      element("fieldset", {}, element("legend", {}, "Costs and budgets"), ...names.map((name) => element("label", {},
        element("input", { type: "checkbox", value: name, checked: isCost(name), onchange: apply }), ` ${name}`))));
    apply();
  }

  // --- Everything together -------------------------------------------------------------------------

  /** Compute and show the state; nothing is built anew. */
  function update() {
    const set = sets.get(state.set), problem = fault(set), said = byId("choose-answer");
    clearTimeout(addressTimer);
    addressTimer = setTimeout(() => history.replaceState(null, "", address()), 250); // browsers limit its rate
    for (const part of [chart, box]) part.classList.toggle("pepr-stale", Boolean(problem));
    if (problem) return said.replaceChildren(problem);
    found = rank(set, state);
    said.replaceChildren(...answer(set, found));
    for (const output of place.querySelectorAll("output[data-weight]")) {
      output.textContent = (Object.fromEntries(found.weights)[output.dataset.weight] ?? 0).toFixed(2);
    }
    table(found);
    byId("choose-compare").replaceChildren(...comparison(set, found.weights));
    draw();
  }

  /** Build controls and table for another set or cost, and show the state. */
  function build() {
    const focused = document.activeElement?.id;
    place.querySelector("form").replaceChildren(...controls());
    byId(focused)?.focus();
    byId("choose-search").value = state.search;
    table = makeTable(sets.get(state.set));
    update();
  }

  function start() {
    const form = place.querySelector("form"), all = byId("choose-all");
    for (const part of document.querySelectorAll("#choose [hidden]")) part.hidden = false;
    box.before(byId("choose-tools"));
    box.classList.add("pepr-tall");
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "The models by score");
    form.addEventListener("submit", (event) => event.preventDefault());
    byId("choose-file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0]));
    byId("choose-search").addEventListener("input", ({ target }) => { state.search = target.value; update(); });
    all.addEventListener("click", () => {
      showAll = !showAll;
      all.setAttribute("aria-pressed", showAll);
      update();
    });
    place.addEventListener("dragover", (event) => event.preventDefault());
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      byId("choose-own").open = true;
      if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
    for (const link of document.querySelectorAll('[download="choose.csv"], [download="choose-top.csv"]')) {
      link.textContent = "This view (CSV)";
      link.addEventListener("click", () => { link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(csv())}`; });
    }
    readAddress();
    build();
    window.peprChoose = { csv };
  }

  chart.addEventListener("pepr-drawn", (event) => {
    view = event.detail;
    drawing = false;
    if (again) redraw(); else draw();
  });
  window.addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    readAddress();
    build();
  });
  start();
})();
