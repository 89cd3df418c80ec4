// One map: the thumbnail, the spots over it, a scale bar; and the colour bar below it.
"use strict";

const PANEL_WIDTH_PX = 760;
const NO_VALUE = "#9a9a9a";

function numberText(value) {
  if (Number.isNaN(value)) return "–";
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return String(Number(text)).replace("-", "−");
}

// view: slide, xy (µm; x, y of each spot in turn) and frame (µm); panel: values, range and colours.
function drawPanel(canvas, image, { slide, xy, frame }, { values, range, colours }, { opacity, spotUm }) {
  const scale = PANEL_WIDTH_PX / frame.width; // canvas pixels per µm
  canvas.width = PANEL_WIDTH_PX;
  canvas.height = Math.round(frame.height * scale);
  const pen = canvas.getContext("2d");
  const perUm = image.naturalWidth / slide.width_um;
  const part = [frame.x, frame.y, frame.width, frame.height].map((v) => v * perUm);
  pen.drawImage(image, ...part, 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = opacity;
  const span = range[1] - range[0] || 1;
  const radius = (spotUm / 2) * scale;
  values.forEach((value, n) => {
    const share = Math.min(1, Math.max(0, (value - range[0]) / span));
    pen.fillStyle = Number.isNaN(value) ? NO_VALUE : css(colours[Math.round(share * 255)]);
    pen.beginPath();
    pen.arc((xy[2 * n] - frame.x) * scale, (xy[2 * n + 1] - frame.y) * scale, radius, 0, 2 * Math.PI);
    pen.fill();
  });
  pen.globalAlpha = 1;
  drawScaleBar(pen, canvas, scale, frame.width);
}

function drawScaleBar(pen, canvas, scale, widthUm) {
  const length = [5000, 2000, 1000, 500, 200, 100].find((v) => v < widthUm / 4) ?? 50;
  const label = length >= 1000 ? `${length / 1000} mm` : `${length} µm`;
  const [x, y] = [16, canvas.height - 18];
  pen.font = "600 22px system-ui, 'Liberation Sans', sans-serif";
  pen.fillStyle = "rgb(255 255 255 / 0.85)";
  pen.fillRect(x - 8, y - 30, Math.max(length * scale, pen.measureText(label).width) + 16, 42);
  pen.fillStyle = "#1a1a1a";
  pen.fillText(label, x, y - 8);
  pen.fillRect(x, y, length * scale, 5);
}

function drawColourBar(bar, { values, range, colours }, space) {
  const pen = bar.querySelector("canvas").getContext("2d");
  colours.forEach((entry, n) => {
    pen.fillStyle = css(entry);
    pen.fillRect(n, 0, 1, 1);
  });
  const ticks = [range[0], (range[0] + range[1]) / 2, range[1]];
  bar.querySelectorAll(".ticks span").forEach((span, n) => (span.textContent = numberText(ticks[n])));
  const slack = 1e-4 * (range[1] - range[0]); // stored values are rounded
  const outside = values.filter((v) => v < range[0] - slack || v > range[1] + slack).length;
  bar.querySelector(".unit").textContent = space + (outside ? `; ${outside} ${outside === 1 ? "spot" : "spots"} outside this range` : "");
}
