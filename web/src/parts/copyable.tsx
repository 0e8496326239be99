/** A text that one may want elsewhere. */
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";

export function Copyable({ text }: { text: string }) {
  return (
    <CopyToClipboard
      variant="inline"
      textToCopy={text}
      textToDisplay={text}
      copyButtonAriaLabel={`Copy ${text}`}
      copySuccessText="Copied"
      copyErrorText="It could not be copied"
    />
  );
}

/** Lines to copy as a whole. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div>
      <CopyToClipboard
        copyButtonText="Copy"
        copyButtonAriaLabel={`Copy: ${label}`}
        textToCopy={text}
        copySuccessText="Copied"
        copyErrorText="It could not be copied"
      />
      {/* It may be wider than the screen, so it must be possible to scroll it with the keyboard. */}
      <pre className="code" tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
    </div>
  );
}
