// What was searched for in the bar, for the gallery that is open next.
class Searched {
  words: string | null = $state(null);
}

export const searched = new Searched();
