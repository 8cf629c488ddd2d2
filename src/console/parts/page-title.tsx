import { useEffect, useRef } from "preact/hooks";

/** Whether a title was rendered before. The first title of a visit does not take the focus. */
let hasBeenTitled = false;

/** The heading of a page. It takes the focus when the page changes, so that screen readers read it. */
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
