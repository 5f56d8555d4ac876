// Asks the server about volumes.
import { ServerError, client, patiently, refused } from "../api/client";
import type { Schemas } from "../report/data";

export type Answer = Schemas["VolumesResponse"];

/** The verdicts on the volumes among some files; why one could not be judged is in its result. */
export async function volumes(detector: string, files: readonly { name: string; file: Blob }[]): Promise<Answer> {
  const form = new FormData();
  for (const { name, file } of files) form.append("file", file, name);
  const { data, error, response } = await patiently(() => client.POST("/api/v1/detectors/{detector}/volumes", {
    params: { path: { detector } },
    // The form as it is.
    body: form as unknown as string,
    bodySerializer: (body) => body as unknown as FormData,
  }));
  const answer = data ?? (response.status === 422 ? (error as unknown as Answer) : undefined);
  if (answer === undefined) throw refused(response, error);
  return answer;
}

export { ServerError };
