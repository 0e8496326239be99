/** Text with a button that copies it. */
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";

export function Copyable({ text }: { text: string }) {
  return (
    <CopyToClipboard
      variant="inline"
      textToCopy={text}
      textToDisplay={text}
      copyButtonAriaLabel={`Copy ${text}`}
      copySuccessText="Copied"
      copyErrorText="Couldn't copy"
    />
  );
}

/** A block of code with a button that copies all of it. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div>
      <CopyToClipboard
        copyButtonText="Copy"
        copyButtonAriaLabel={`Copy ${label}`}
        textToCopy={text}
        copySuccessText="Copied"
        copyErrorText="Couldn't copy"
      />
      {/* The code can be wider than the screen, so it must be scrollable with the keyboard. */}
      <pre className="code" tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
    </div>
  );
}
