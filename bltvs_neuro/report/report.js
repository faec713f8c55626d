// Fills plotly's figures with what the controls pick. Text from the data only ever becomes textContent.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const config = { displayModeBar: false, responsive: true };
  const get = (id) => document.getElementById(id);
  const streams = { bu: "bottom-up", td: "top-down" };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const redraw = [];

  // a figure's colours, or their twins on a dark ground
  const tint = (colour) => dark.matches && Object.hasOwn(data.dark, colour) ? data.dark[colour] : colour;
  const themed = (value) => typeof value === "string" ? tint(value)
    : Array.isArray(value) ? value.map(themed)
    : value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, themed(v)]))
    : value;
  const plot = (id, figure) => Plotly.react(id, figure.data, figure.layout, config);

  const floats = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  };
  const fill = (select, items, keep) => {
    select.replaceChildren(...items.map(([value, text]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = text;
      return option;
    }));
    if (items.some(([value]) => String(value) === keep)) select.value = keep;
  };

  // representational geometry of stores
  let shown = null; // {store, matrix, n}

  const site = () => `${get("area").value}/${get("stream").value}`;
  const store = () => data.stores[Number(get("store").value)];

  function pickStore() {
    const areas = [...new Set(Object.keys(store().sites).map((name) => name.split("/")[0]))];
    fill(get("area"), areas.map((a) => [a, a]), get("area").value || areas[areas.length - 1]);
    const ids = store().ids.map((id, i) => [i, id]);
    fill(get("first"), ids, get("first").value);
    fill(get("second"), ids, get("second").value || "1");
    pickArea();
  }
  function pickArea() {
    const found = Object.keys(store().sites).filter((name) => name.split("/")[0] === get("area").value);
    fill(get("stream"), found.map((name) => name.split("/")[1]).map((s) => [s, streams[s] || s]), get("stream").value);
    pickSite();
  }
  function pickSite() {
    const slider = get("timestep");
    const steps = store().sites[site()].timesteps;
    const before = slider.dataset.step === undefined ? steps.length - 1 : steps.indexOf(Number(slider.dataset.step));
    slider.max = steps.length - 1;
    slider.value = before < 0 ? steps.length - 1 : before;
    draw();
  }
  function draw() {
    const here = store(), entry = here.sites[site()], slider = get("timestep");
    const at = Number(slider.value), step = entry.timesteps[at], n = here.ids.length;
    const told = here.unit === "ms" ? `${step} ms` : here.unit ? `timestep ${step}` : "";
    slider.dataset.step = step;
    slider.disabled = entry.timesteps.length < 2;
    slider.setAttribute("aria-valuetext", told);
    get("timestep-label").textContent = here.unit === "ms" ? "Time (ms)" : "Timestep";
    get("timestep-value").textContent = here.unit ? step : "";
    const values = floats(entry.rdm[at]);
    const matrix = Array.from({ length: n }, () => new Array(n).fill(0));
    let pair = 0, least = null, most = null;
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++, pair++) {
      const value = Number.isNaN(values[pair]) ? null : values[pair];
      matrix[i][j] = matrix[j][i] = value;
      if (value === null) continue;
      if (least === null || value < least[0]) least = [value, i, j];
      if (most === null || value > most[0]) most = [value, i, j];
    }
    shown = { here, matrix };
    const heat = themed(here.rdm), labels = heat.data[0].customdata;
    delete heat.data[0].customdata;
    heat.data[0].z = matrix;
    heat.data[0].text = matrix.map((row, i) => row.map((v, j) => `${labels[i]}<br>${labels[j]}<br>${v === null ? "undefined" : v.toFixed(3)}`));
    heat.layout.shapes = bars(here);
    plot("rdm", heat);
    const points = floats(entry.mds[at]), mds = themed(here.mds);
    if (here.categories) mds.data[0].marker.color = here.categories.map((name) => tint(here.colours[name]));
    mds.data[0].x = points.filter((_, i) => i % 2 === 0);
    mds.data[0].y = points.filter((_, i) => i % 2 === 1);
    const span = Math.max(...mds.data[0].x) - Math.min(...mds.data[0].x) || 1;
    mds.layout.images = here.thumbs.flatMap((source, i) => source === null ? [] : [{
      source, x: mds.data[0].x[i], y: mds.data[0].y[i], xref: "x", yref: "y", xanchor: "center", yanchor: "middle",
      sizex: span / 14, sizey: span / 14, layer: "above",
    }]);
    plot("mds", mds);
    const name = [get("area").value, streams[get("stream").value] || get("stream").value, told].filter(Boolean).join(", ");
    const some = n < here.total ? `${n} of ${here.total} stimuli, evenly spread` : `${n} stimuli`;
    get("geometry-text").textContent = `${name}: ${some}, metric ${here.metric}.` + (least === null ? "" :
      ` Most alike: ${here.ids[least[1]]} and ${here.ids[least[2]]} (${least[0].toFixed(3)});` +
      ` least alike: ${here.ids[most[1]]} and ${here.ids[most[2]]} (${most[0].toFixed(3)}).`);
    get("rdm").setAttribute("aria-label", `Matrix of dissimilarities, ${name}`);
    get("mds").setAttribute("aria-label", `Arrangement of stimuli, ${name}`);
    look();
  }
  // bars along both sides of the matrix, one for each run of stimuli of a category, and their key
  function bars(here) {
    const key = get("categories"), shapes = [];
    key.replaceChildren();
    if (!here.categories) return shapes;
    for (let from = 0, to; from < here.categories.length; from = to) {
      const name = here.categories[from], side = { xref: "x", yref: "y", x0: from - 0.5, y0: from - 0.5 };
      for (to = from + 1; here.categories[to] === name;) to++;
      const fill = { type: "rect", fillcolor: tint(here.colours[name]), line: { width: 0 } };
      shapes.push({ ...side, ...fill, x1: to - 0.5, yref: "y domain", y0: -0.045, y1: -0.01 });
      shapes.push({ ...side, ...fill, y1: to - 0.5, xref: "x domain", x0: -0.045, x1: -0.01 });
    }
    for (const [name, colour] of Object.entries(here.colours)) {
      const item = document.createElement("li"), box = document.createElement("span");
      box.style.background = tint(colour);
      item.append(box, name);
      key.append(item);
    }
    return shapes;
  }
  function look() {
    const { here, matrix } = shown, i = Number(get("first").value), j = Number(get("second").value);
    for (const [id, k] of [["first-picture", i], ["second-picture", j]]) {
      get(id).hidden = here.thumbs[k] === null;
      if (here.thumbs[k] !== null) { get(id).src = here.thumbs[k]; get(id).alt = here.ids[k]; }
    }
    const value = matrix[i][j];
    get("pair-text").textContent = `${here.ids[i]} and ${here.ids[j]}: ${value === null ? "undefined" : value.toFixed(3)}`;
  }
  function point(i, j) {
    get("first").value = i;
    get("second").value = j;
    look();
  }

  if (data.stores.length) {
    get("pick").addEventListener("submit", (event) => event.preventDefault());
    get("store").addEventListener("change", pickStore);
    get("area").addEventListener("change", pickArea);
    get("stream").addEventListener("change", pickSite);
    get("timestep").addEventListener("input", draw);
    get("first").addEventListener("change", look);
    get("second").addEventListener("change", look);
    pickStore();
    redraw.push(draw);
    get("rdm").on("plotly_hover", (event) => point(event.points[0].y, event.points[0].x));
    get("mds").on("plotly_hover", (event) => point(event.points[0].pointNumber, Number(get("second").value)));
  }

  // scores
  for (const figure of data.figures.filter((one) => one.options.length)) {
    const pick = get(`${figure.id}-pick`);
    pick.form.addEventListener("submit", (event) => event.preventDefault());
    const show = () => {
      const option = figure.options[Number(pick.value)], drawn = themed(option.figure);
      plot(figure.id, drawn);
      get(figure.id).setAttribute("aria-label", option.label);
      get(`${figure.id}-text`).textContent = option.alt;
      const table = get(`${figure.id}-table`);
      const row = (cells, kind) => {
        const line = document.createElement("tr");
        for (const text of cells) {
          const cell = document.createElement(kind);
          if (kind === "th") cell.scope = "col";
          cell.textContent = text;
          line.append(cell);
        }
        return line;
      };
      const head = document.createElement("thead"), body = document.createElement("tbody");
      head.append(row(option.columns, "th"));
      body.append(...option.rows.map((cells) => row(cells, "td")));
      table.replaceChildren(head, body);
    };
    pick.addEventListener("change", show);
    redraw.push(show);
    show();
  }
  dark.addEventListener("change", () => redraw.forEach((draw) => draw()));
  document.documentElement.dataset.ready = "true";
})();
