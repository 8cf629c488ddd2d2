import type { ComponentChildren } from "preact";
import type { Scope } from "../../domain/principal.ts";
import { lackOf } from "./rights.ts";

/** A button that is disabled, with the reason, if the caller lacks the scope. */
export function RightButton({
  scope,
  onClick,
  children,
  ...rest
}: {
  scope: Scope;
  class?: string;
  onClick: () => void;
  children: ComponentChildren;
}) {
  const lack = lackOf(scope);
  return (
    <button type="button" {...rest} disabled={lack !== null} title={lack ?? undefined} onClick={onClick}>
      {children}
    </button>
  );
}
