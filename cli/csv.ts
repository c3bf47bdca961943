/** A cell of comma-separated values (RFC 4180); a text that a spreadsheet would take for a formula, or that has a comma, is made harmless. */
export function cell(value: string | number | bigint | undefined): string {
  if (typeof value !== 'string') return value === undefined ? '' : String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
