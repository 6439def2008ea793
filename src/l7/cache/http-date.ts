/**
 * HTTP dates (RFC 9110 §5.6.7).
 *
 * Owns:    the three formats, letter by letter. Anything else is no date: what cannot be read makes a response stale.
 * Units:   Unix ms.
 * @module
 */
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const RFC850 = /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const ASCTIME = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/** @param nowMs for years of two digits: one that would lie more than 50 years ahead is of the past */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  let found = FIXDATE.exec(text);
  if (found !== null) return utc(found[3]!, found[2]!, found[1]!, found[4]!, found[5]!, found[6]!);
  found = RFC850.exec(text);
  if (found !== null) {
    const thisYear = new Date(nowMs).getUTCFullYear();
    let year = Math.floor(thisYear / 100) * 100 + Number(found[3]);
    if (year > thisYear + 50) year -= 100;
    return utc(String(year), found[2]!, found[1]!, found[4]!, found[5]!, found[6]!);
  }
  found = ASCTIME.exec(text);
  return found === null ? undefined : utc(found[6]!, found[1]!, found[2]!, found[3]!, found[4]!, found[5]!);
}

function utc(year: string, month: string, day: string, hour: string, minute: string, second: string) {
  const index = MONTHS.indexOf(month);
  const inRange =
    Number(day) >= 1 && Number(day) <= 31 && Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60;
  return index < 0 || !inRange
    ? undefined
    : Date.UTC(Number(year), index, Number(day), Number(hour), Number(minute), Number(second));
}

export const formatHttpDate = (ms: number): string => new Date(ms).toUTCString();
