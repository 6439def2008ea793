/**
 * Distance between two places on the Earth.
 * @module
 */

/** Mean radius R1 of the Earth in km (IUGG; Moritz, "Geodetic Reference System 1980", Journal of Geodesy 74, 2000). */
const EARTH_RADIUS_KM = 6371.0088;
const RADIANS_PER_DEGREE = Math.PI / 180;

/**
 * Great-circle distance by the haversine formula, which stays exact for near points. A sphere is up to 0.5 % off the
 * ellipsoid; databases place a city worse than that.
 *
 * @param latitudeA, longitudeA, latitudeB, longitudeB degrees, north and east positive
 * @returns km, from 0 to 20,015; NaN when a coordinate is NaN
 */
export function greatCircleKm(latitudeA: number, longitudeA: number, latitudeB: number, longitudeB: number): number {
  const sinLatitude = Math.sin(((latitudeB - latitudeA) * RADIANS_PER_DEGREE) / 2);
  const sinLongitude = Math.sin(((longitudeB - longitudeA) * RADIANS_PER_DEGREE) / 2);
  const haversine =
    sinLatitude * sinLatitude +
    Math.cos(latitudeA * RADIANS_PER_DEGREE) * Math.cos(latitudeB * RADIANS_PER_DEGREE) * sinLongitude * sinLongitude;
  // Rounding may push antipodes just past 1, where asin has no value.
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(haversine)));
}
