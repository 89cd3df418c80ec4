// Two colour tables of 256 entries, computed in OKLCH so that lightness changes evenly.
"use strict";

// OKLCH → linear sRGB: Björn Ottosson's OKLab matrices (2020).
function linearRgb(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

// The most colourful sRGB colour of this lightness and hue, up to the chroma asked for.
function colour(lightness, chroma, hue) {
  let rgb = linearRgb(lightness, chroma, hue);
  for (let c = chroma; c > 0 && rgb.some((v) => v < 0 || v > 1); c -= 0.005) rgb = linearRgb(lightness, c, hue);
  return rgb.map((v) => {
    const bounded = Math.min(1, Math.max(0, v));
    const encoded = bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055;
    return Math.round(255 * encoded);
  });
}

function table(at) {
  return Array.from({ length: 256 }, (_, n) => at(n / 255));
}

// Dark violet over teal to yellow.
const SEQUENTIAL = table((t) => colour(0.25 + 0.67 * t, 0.115 - 0.12 * t + 0.19 * t * t, 305 - 200 * t));

// Blue below zero, near white at zero, orange above.
const DIVERGING = table((t) => {
  const side = 2 * t - 1;
  return colour(0.97 - 0.5 * Math.abs(side), 0.19 * Math.abs(side), side < 0 ? 255 : 45);
});

function css(entry) {
  return `rgb(${entry[0]} ${entry[1]} ${entry[2]})`;
}
