import { computed, effect, signal } from "@preact/signals";

const STORAGE_KEY = "spool-theme";
const THEMES = ["auto", "light", "dark"] as const;

/** `auto`: the browser's setting. */
export type Theme = (typeof THEMES)[number];

const dark = matchMedia("(prefers-color-scheme: dark)");
const prefersDark = signal(dark.matches);
dark.addEventListener("change", () => (prefersDark.value = dark.matches));

const stored = localStorage.getItem(STORAGE_KEY);

export const theme = signal<Theme>(THEMES.find((known) => known === stored) ?? "auto");

/** The effective color scheme. */
export const colorScheme = computed(() =>
  theme.value === "auto" ? (prefersDark.value ? "dark" : "light") : theme.value,
);

// The stylesheet uses this attribute, and for `auto` the browser's setting.
effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
  localStorage.setItem(STORAGE_KEY, theme.value);
});

/** Switches to the next theme. */
export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
}
