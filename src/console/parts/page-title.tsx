import { useEffect, useRef } from "preact/hooks";

/** Where the page was when it was last titled: the first title of a visit leaves the focus where it is. */
let hasBeenTitled = false;

/** The heading of what is shown. It takes the focus when the page changes, so that it is read out. */
export function PageTitle({ title }: { title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (hasBeenTitled) heading.current!.focus({ preventScroll: true });
    hasBeenTitled = true;
  }, []);
  useEffect(() => {
    document.title = `${title} · Spool`;
  }, [title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {title}
    </h1>
  );
}
