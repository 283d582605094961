"""Figures of several rounds as a table of medians, with ratios taken within each round."""

import statistics


def span(values, form):
    """Median and (least to most)."""
    return f"{form % statistics.median(values):>9} ({form % min(values)} to {form % max(values)})"


class Table:
    """One kind of work. Rows are systems; each figure belongs to the round it was taken in."""

    def __init__(self, title, unit, form="%.2f", less_is_better=True):
        self.title, self.unit, self.form = title, unit, form
        self.less = less_is_better
        self.rows = {}
        self.budgets = []

    def add(self, name, figure):
        self.rows.setdefault(name, []).append(figure)

    def ratios(self, name, base):
        return [a / b for a, b in zip(self.rows[name], self.rows[base])]

    def hold(self, name, base, limit):
        """A budget line: at most limit times base if less is better, else at least."""
        if name in self.rows and base in self.rows:
            self.budgets.append((name, base, limit))

    def verdicts(self):
        """Yields (held?, sentence)."""
        for name, base, limit in self.budgets:
            ratios = self.ratios(name, base)
            ratio = statistics.median(ratios)
            held = ratio <= limit if self.less else ratio >= limit
            yield held, (f"{name} is {ratio:.2f} x {base} ({min(ratios):.2f} to "
                         f"{max(ratios):.2f}), to hold: {'<=' if self.less else '>='} {limit:g}")

    def print(self):
        print(f"\n{self.title}   [{self.unit}: median (least to most) of "
              f"{max(len(figures) for figures in self.rows.values())} rounds]")
        for name, figures in self.rows.items():
            line = f"  {name:<24}{span(figures, self.form):<34}"
            base = next(iter(self.rows))
            if name != base:
                line += f"{statistics.median(self.ratios(name, base)):>7.2f} x {base}"
            print(line)
        for held, sentence in self.verdicts():
            print(f"  {'holds ' if held else 'MISSED'}: {sentence}")
        print(end="", flush=True)
