import { useEffect, useRef } from "preact/hooks";

/**
 * Opens something for as long as the component is there and `key` stays the same; the key stands for all that `open`
 * depends on. What was open before is closed first, so that there are never two.
 */
export function useOpened<Opened extends Disposable>(open: () => Opened, key: string): Opened {
  const held = useRef<{ key: string; opened: Opened } | null>(null);
  if (held.current?.key !== key) {
    held.current?.opened[Symbol.dispose]();
    held.current = { key, opened: open() };
  }
  useEffect(() => () => held.current!.opened[Symbol.dispose](), []);
  return held.current.opened;
}
