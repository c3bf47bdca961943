const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 28rem; margin: 4rem auto; padding: 0 1rem; color: #1b1f24 }
  .notice { background: #fff4d6; border: 1px solid #e0b84c; border-radius: 6px; padding: .5rem .75rem }
  code { font-size: 1.4rem; letter-spacing: .1em }
  button, input { font: inherit; padding: .4rem .8rem; margin-top: .5rem }
`;

/** A page of the development provider. `body` is HTML of our own; what comes from outside goes through `escapeHtml`. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title>
<style>${STYLE}</style></head>
<body>
<h1>${escapeHtml(title)}</h1>
<p class="notice">This is the identity provider of <strong>development only</strong>: everybody who reaches this page is
the user <strong>dev</strong>, without a password. In production your own provider stands here.</p>
${body}
</body>
</html>`;
}

/** Makes text safe within HTML and its attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Asks whether to sign in as the one user, on behalf of a client. */
export function signInPage(client: string, action: string): string {
  return page(
    'Sign in',
    `<p>The client <strong>${escapeHtml(client)}</strong> asks you to sign in.</p>
<form method="post" action="${escapeHtml(action)}"><button type="submit" autofocus>Continue as dev</button></form>`,
  );
}

/** Asks for the code that a device shows. */
export function codePage(form: string, problem: string | undefined): string {
  return page(
    'Connect a device',
    `${problem === undefined ? '' : `<p><strong>${escapeHtml(problem)}</strong></p>`}
<p>Enter the code that your terminal shows.</p>
${form}
<button type="submit" form="op.deviceInputForm">Continue</button>`,
  );
}

/** Asks whether the code is the one that the device shows, and names the client. */
export function confirmPage(form: string, client: string, userCode: string): string {
  return page(
    'Connect a device',
    `<p>The client <strong>${escapeHtml(client)}</strong> wants to act for you. Your terminal must show exactly this
code; if it does not, or you did not ask for this, close the page.</p>
<p><code>${escapeHtml(userCode)}</code></p>
${form}
<button type="submit" form="op.deviceConfirmForm" autofocus>Connect</button>
<button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">Refuse</button>`,
  );
}

/** Says that the device is signed in. */
export function connectedPage(client: string): string {
  return page('Connected', `<p><strong>${escapeHtml(client)}</strong> is signed in. You can close this page.</p>`);
}
