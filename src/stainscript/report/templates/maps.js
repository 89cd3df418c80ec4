// Maps: measured, predicted and residual of one gene on one slide, over the H&E thumbnail.
"use strict";

(() => {
  const atlas = JSON.parse(document.getElementById("atlas-data").textContent);
  if (Object.keys(atlas.experiments).length === 0) return;
  const at = (name) => document.getElementById(`map-${name}`);
  const select = { slide: at("slide"), experiment: at("experiment"), gene: at("gene") };
  const PANELS = ["measured", "predicted", "residual"];
  const MISSING = 65535;
  const LEVELS = 65534;
  const POSITIONS = 65535;
  const images = new Map();
  const decoded = new Map();
  let view = null; // what is drawn now: spots, values, frame

  // Blobs: positions are [text], values are [low, high, text].
  function unpack(text) {
    return new Uint16Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  }

  function positions(index, slide) {
    const size = [slide.width_um, slide.height_um];
    return Float64Array.from(unpack(atlas.blobs[index][0]), (v, n) => (v / POSITIONS) * size[n % 2]);
  }

  function values(index) {
    if (!decoded.has(index)) {
      const [low, high, text] = atlas.blobs[index];
      const level = (v) => (v === MISSING ? NaN : low + (v / LEVELS) * (high - low));
      decoded.set(index, { low, high, values: Float64Array.from(unpack(text), level) });
    }
    return decoded.get(index);
  }

  // Choosing: slide → experiments that drew it → genes that this experiment drew.
  function fill(menu, options, wanted) {
    menu.replaceChildren();
    const groups = new Map();
    for (const { value, text, group } of options) {
      if (group !== undefined && !groups.has(group)) {
        groups.set(group, Object.assign(document.createElement("optgroup"), { label: group }));
        menu.append(groups.get(group));
      }
      (groups.get(group) ?? menu).append(new Option(text, value));
    }
    const found = options.find((o) => o.value === wanted) ?? options.find((o) => o.alias === wanted) ?? options[0];
    menu.value = found.value;
    const missed = wanted !== undefined && wanted !== found.value && wanted !== found.alias;
    return missed ? [`${wanted} was not drawn here; this is ${found.text}.`] : [];
  }

  function slideOptions() {
    return Object.entries(atlas.slides).map(([key, s]) => ({ value: key, text: key, group: s.dataset }));
  }

  function experimentOptions(slide) {
    return Object.entries(atlas.experiments)
      .filter(([name]) => slide in atlas.maps[name])
      .map(([name, e]) => ({ value: name, text: e.label, group: `protocol ${e.protocol}` }));
  }

  function geneOptions(experiment, slide) {
    return Object.entries(atlas.maps[experiment][slide])
      .map(([id, g]) => ({ value: id, text: g.symbol, alias: g.symbol }))
      .sort((a, b) => a.text.localeCompare(b.text));
  }

  function choose(wanted) {
    const missed = [
      ...fill(select.slide, slideOptions(), wanted.slide),
      ...fill(select.experiment, experimentOptions(select.slide.value), wanted.experiment),
      ...fill(select.gene, geneOptions(select.experiment.value, select.slide.value), wanted.gene),
    ];
    at("notice").textContent = missed.join(" ");
    show();
  }

  function chosen() {
    const gene = select.gene.selectedOptions[0].text;
    return { slide: select.slide.value, gene, experiment: select.experiment.value };
  }

  // The address: #slide=…&gene=…&experiment=…
  function wantedByHash() {
    if (!location.hash.includes("=")) return null;
    return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  }

  function show() {
    const slide = atlas.slides[select.slide.value];
    const experiment = atlas.experiments[select.experiment.value];
    const map = atlas.maps[select.experiment.value][select.slide.value][select.gene.value];
    const measured = values(map.measured);
    const predicted = values(map.predicted);
    const residual = predicted.values.map((v, n) => v - measured.values[n]);
    const largest = residual.reduce((most, v) => (Math.abs(v) > most ? Math.abs(v) : most), 0) || 1;
    const shared = [measured.low, measured.high];
    const own = [predicted.low, predicted.high];
    view = {
      slide,
      xy: positions(map.xy, slide),
      panels: {
        measured: { values: measured.values, range: shared, colours: SEQUENTIAL },
        predicted: { values: predicted.values, range: at("stretch").checked ? own : shared, colours: SEQUENTIAL },
        residual: { values: residual, range: [-largest, largest], colours: DIVERGING },
      },
    };
    view.frame = frameOf(view);
    const pcc = map.pcc === null ? "undefined" : map.pcc.toFixed(3).replace("-", "−");
    const place = `${map.symbol} on ${select.slide.value} (patient ${slide.patient}), ${experiment.label}, protocol ${experiment.protocol}`;
    at("pcc").textContent = `PCC ${pcc} · ${place}, fold ${map.fold}, seed ${map.seed}, ${residual.length} spots`;
    const size = `${numberText(slide.spot_um)} µm`;
    at("diameter").textContent = slide.spot_stated ? ` (${size})` : ` (not stated; drawn at half the pitch, ${size})`;
    at("spot").textContent = "Point at a spot for its values.";
    for (const name of PANELS) {
      drawColourBar(document.getElementById(`bar-${name}`), view.panels[name], experiment.space);
    }
    redraw();
  }

  // The part of the slide that is drawn, in µm: the spots and a margin, or all of it.
  function frameOf({ slide, xy }) {
    if (at("whole").checked) return { x: 0, y: 0, width: slide.width_um, height: slide.height_um };
    const xs = xy.filter((_, n) => n % 2 === 0);
    const ys = xy.filter((_, n) => n % 2 === 1);
    const margin = 2 * slide.spot_um;
    const x = Math.max(0, Math.min(...xs) - margin);
    const y = Math.max(0, Math.min(...ys) - margin);
    const right = Math.min(slide.width_um, Math.max(...xs) + margin);
    const bottom = Math.min(slide.height_um, Math.max(...ys) + margin);
    return { x, y, width: right - x, height: bottom - y };
  }

  function imageOf(key) {
    if (!images.has(key)) {
      const image = new Image();
      image.src = atlas.slides[key].image;
      images.set(key, image.decode().then(() => image));
    }
    return images.get(key);
  }

  // The image may arrive after another slide was chosen: then there is nothing to draw.
  async function redraw() {
    const key = select.slide.value;
    const image = await imageOf(key);
    if (key !== select.slide.value) return;
    const spotUm = at("enlarge").checked ? 0.98 * view.slide.pitch_um : view.slide.spot_um;
    const style = { opacity: Number(at("opacity").value) / 100, spotUm };
    for (const name of PANELS) {
      drawPanel(at(name), image, view, view.panels[name], style);
      at(name).setAttribute("aria-label", `${name}: ${at("pcc").textContent}`);
    }
    document.body.dataset.drawn = new URLSearchParams(chosen()).toString();
  }

  function describeSpot(event) {
    const box = event.target.getBoundingClientRect();
    const { frame, xy, slide, panels } = view;
    const x = frame.x + ((event.clientX - box.left) / box.width) * frame.width;
    const y = frame.y + ((event.clientY - box.top) / box.height) * frame.height;
    let [nearest, least] = [-1, slide.spot_um];
    for (let n = 0; n < xy.length / 2; n += 1) {
      const distance = Math.hypot(xy[2 * n] - x, xy[2 * n + 1] - y);
      if (distance < least) [nearest, least] = [n, distance];
    }
    if (nearest < 0) return;
    const place = `Spot at x ${Math.round(xy[2 * nearest])} µm, y ${Math.round(xy[2 * nearest + 1])} µm`;
    at("spot").textContent = `${place}: ${PANELS.map((p) => `${p} ${numberText(panels[p].values[nearest])}`).join(", ")}`;
  }

  for (const menu of Object.values(select)) {
    menu.addEventListener("change", () => {
      choose(chosen());
      history.replaceState(null, "", `#${new URLSearchParams(chosen())}`);
    });
  }
  for (const name of ["whole", "stretch"]) at(name).addEventListener("change", show);
  for (const name of ["opacity", "enlarge"]) at(name).addEventListener("input", redraw);
  for (const name of PANELS) at(name).addEventListener("mousemove", describeSpot);
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => {
    const wanted = wantedByHash();
    if (wanted) {
      choose({ ...chosen(), ...wanted });
      document.getElementById("maps").scrollIntoView();
    }
  });
  choose(wantedByHash() ?? {});
  if (wantedByHash()) document.getElementById("maps").scrollIntoView();
})();
