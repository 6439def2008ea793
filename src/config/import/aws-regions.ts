/**
 * Where the regions of AWS are: the city or state that AWS names for each, to a few kilometres; enough to tell which one
 * is nearer. Source: AWS General Reference, "AWS Regions"; coordinates of the places from GeoNames.
 * @module
 */
type Place = { readonly at: readonly [latitude: number, longitude: number]; readonly country: string };

const place = (latitude: number, longitude: number, country: string): Place => ({ at: [latitude, longitude], country });

export const AWS_REGIONS: Readonly<Record<string, Place>> = {
  "af-south-1": place(-33.92, 18.42, "ZA"),
  "ap-east-1": place(22.32, 114.17, "HK"),
  "ap-east-2": place(25.03, 121.57, "TW"),
  "ap-northeast-1": place(35.68, 139.69, "JP"),
  "ap-northeast-2": place(37.57, 126.98, "KR"),
  "ap-northeast-3": place(34.69, 135.5, "JP"),
  "ap-south-1": place(19.08, 72.88, "IN"),
  "ap-south-2": place(17.39, 78.49, "IN"),
  "ap-southeast-1": place(1.35, 103.82, "SG"),
  "ap-southeast-2": place(-33.87, 151.21, "AU"),
  "ap-southeast-3": place(-6.21, 106.85, "ID"),
  "ap-southeast-4": place(-37.81, 144.96, "AU"),
  "ap-southeast-5": place(3.14, 101.69, "MY"),
  "ap-southeast-6": place(-36.85, 174.76, "NZ"),
  "ap-southeast-7": place(13.76, 100.5, "TH"),
  "ca-central-1": place(45.5, -73.57, "CA"),
  "ca-west-1": place(51.05, -114.07, "CA"),
  "cn-north-1": place(39.9, 116.4, "CN"),
  "cn-northwest-1": place(37.5, 105.19, "CN"),
  "eu-central-1": place(50.11, 8.68, "DE"),
  "eu-central-2": place(47.38, 8.54, "CH"),
  "eu-north-1": place(59.33, 18.07, "SE"),
  "eu-south-1": place(45.46, 9.19, "IT"),
  "eu-south-2": place(41.65, -0.88, "ES"),
  "eu-west-1": place(53.35, -6.26, "IE"),
  "eu-west-2": place(51.51, -0.13, "GB"),
  "eu-west-3": place(48.86, 2.35, "FR"),
  "il-central-1": place(32.08, 34.78, "IL"),
  "me-central-1": place(25.2, 55.27, "AE"),
  "me-south-1": place(26.07, 50.56, "BH"),
  "mx-central-1": place(20.59, -100.39, "MX"),
  "sa-east-1": place(-23.55, -46.63, "BR"),
  "us-east-1": place(39.04, -77.49, "US"),
  "us-east-2": place(39.96, -83.0, "US"),
  "us-gov-east-1": place(39.96, -83.0, "US"),
  "us-gov-west-1": place(45.84, -119.7, "US"),
  "us-west-1": place(37.35, -121.96, "US"),
  "us-west-2": place(45.84, -119.7, "US"),
};

/** Somewhere in the middle of each continent, for regions of which nothing else is known. */
export const MIDDLE_OF: Readonly<Record<string, readonly [number, number]>> = {
  AF: [2, 20],
  AN: [-80, 0],
  AS: [34, 100],
  EU: [50, 10],
  NA: [40, -98],
  OC: [-25, 134],
  SA: [-15, -60],
};
