import { useEffect, useRef } from "preact/hooks";

/**
 * Opens a resource and closes it when the component unmounts or `key` changes. `key` must represent everything that
 * `open` depends on. The previous resource is closed first, so two are never open.
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
