// The colours that the reader has chosen: light, dark, or as the system has it. Remembered where the browser allows it.

export type Choice = "system" | "light" | "dark";
export const CHOICES: readonly [Choice, string][] = [["system", "Theme: system"], ["light", "Theme: light"], ["dark", "Theme: dark"]];

const STORED = "aberra-theme";

class Theme {
  choice: Choice = $state("system");
  systemDark: boolean = $state(false);
  /** Paper is light. */
  printing: boolean = $state(false);
  dark: boolean = $derived(!this.printing && (this.choice === "dark" || (this.choice === "system" && this.systemDark)));

  /** Follows the system until the page is left; gives what ends that. */
  follow(): () => void {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const look = () => (this.systemDark = system.matches);
    look();
    this.choice = remembered();
    system.addEventListener("change", look);
    return () => system.removeEventListener("change", look);
  }

  /** Lays the page out on paper, prints it, and goes back. Paper takes a while to be laid out: charts are drawn again. */
  async print(): Promise<void> {
    this.printing = true;
    await new Promise((resolve) => setTimeout(resolve, 500));
    window.print();
    this.printing = false;
  }

  choose(choice: Choice): void {
    this.choice = choice;
    try {
      localStorage.setItem(STORED, choice);
    } catch {
      // A page that may store nothing forgets the choice.
    }
  }
}

function remembered(): Choice {
  try {
    const choice = localStorage.getItem(STORED);
    return choice === "light" || choice === "dark" ? choice : "system";
  } catch {
    return "system";
  }
}

/** The page's one theme. */
export const theme = new Theme();
