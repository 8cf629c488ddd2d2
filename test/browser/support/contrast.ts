import type { Page } from "playwright-core";

/** The texts on a page whose contrast with what they stand on is less than WCAG asks of small text, each with its own. */
export function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const LEAST = 4.5;
    const channels = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const isOpaque = (color: string) => (channels(color)[3] ?? 1) > 0.99;
    const luminance = (color: string) => {
      const [red, green, blue] = channels(color).map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
    };
    const groundOf = (element: Element): string => {
      for (let at: Element | null = element; at !== null; at = at.parentElement) {
        const { backgroundColor } = getComputedStyle(at);
        if (isOpaque(backgroundColor)) return backgroundColor;
      }
      return "rgb(255, 255, 255)";
    };
    const faint: string[] = [];
    for (const element of document.querySelectorAll("body *")) {
      const text = [...element.childNodes]
        .flatMap((node) => (node.nodeType === Node.TEXT_NODE ? [node.textContent!.trim()] : []))
        .join("");
      if (text === "" || !element.checkVisibility() || element.closest("[disabled], .visually-hidden, option"))
        continue;
      const [text1, ground] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))];
      const ratio = (Math.max(text1, ground) + 0.05) / (Math.min(text1, ground) + 0.05);
      if (ratio < LEAST) faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return faint;
  });
}
