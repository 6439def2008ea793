/**
 * Contrast of all text that a page shows, as WCAG 2.2 §1.4.3 computes it. Runs in the browser: it may use nothing from
 * outside of its own body.
 */
// biome-ignore lint/suspicious/noExplicitAny: objects of the browser, whose types the project does not have
type Dom = any;

export function contrastsOf(): { text: string; ratio: number }[] {
  const { document, getComputedStyle } = globalThis as Dom;
  type Colour = readonly [number, number, number, number];
  const parse = (text: string): Colour => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  const over = (top: Colour, below: Colour): Colour => {
    const mix = (index: 0 | 1 | 2): number => top[index] * top[3] + below[index] * (1 - top[3]);
    return [mix(0), mix(1), mix(2), 1];
  };
  const luminance = ([red, green, blue]: Colour): number => {
    const [r, g, b] = [red, green, blue].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const behind = (element: Dom): Colour => {
    const layers: Colour[] = [];
    for (let at = element; at; at = at.parentElement) {
      const field = at.matches(".band") ? at.querySelector(".field") : undefined;
      if (field) {
        const { fill, fillOpacity } = getComputedStyle(field);
        const [red, green, blue] = parse(fill);
        layers.push([red, green, blue, Number(fillOpacity)]);
      } else layers.push(parse(getComputedStyle(at).backgroundColor));
    }
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const found: { text: string; ratio: number }[] = [];
  for (const element of document.querySelectorAll("main *")) {
    const text = [...element.childNodes]
      .filter(({ nodeType }: Dom) => nodeType === 3)
      .map(({ data }: Dom) => data.trim())
      .join(" ")
      .trim();
    if (text === "" || !element.checkVisibility() || element.matches("title")) continue;
    const style = getComputedStyle(element);
    const below = behind(element);
    const ink = over(parse(element.namespaceURI?.includes("svg") ? style.fill : style.color), below);
    const [bright, dark] = [luminance(ink), luminance(below)].sort((a, b) => b - a);
    found.push({ text: text.slice(0, 60), ratio: (bright! + 0.05) / (dark! + 0.05) });
  }
  return found;
}
