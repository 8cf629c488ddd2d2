import type { Page } from "playwright-core";

/** Signs in with a token on the page that asks for it. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}
