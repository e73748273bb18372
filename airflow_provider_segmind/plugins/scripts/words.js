/** How figures and moments are written. */

/** Return seconds as people say them: `2 min 25 s`. */
export function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Return a cost in USD with at least two digits, and as many as a cheap model needs. */
export function money(usd) {
  return `${usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 6 })} USD`;
}

/** Return a number of bytes: `1.4 MB`. */
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let left = count;
  let unit = 0;
  for (; left >= (unit === 0 ? 1000 : 999.95) && unit < units.length - 1; unit += 1) left /= 1000;
  return unit === 0 ? `${count} bytes` : `${left.toFixed(1)} ${units[unit]}`;
}

/** Return a moment in the reader's language and time zone. */
export function when(milliseconds) {
  return new Date(milliseconds).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
