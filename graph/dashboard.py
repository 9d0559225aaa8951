"""The table of panels as the file that Grafana reads.

``python -m graph.dashboard`` prints it; it is kept as
``cluster/observability/grafana/dashboards/realtime-avatar.json``, and a test keeps both alike.
"""

import json
from typing import Any

from graph.panels import ROWS, Panel

_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8  # of Grafana's 24 columns


def dashboard() -> dict[str, Any]:
    """What Grafana 10 or newer reads."""
    shown: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        shown.append(_heading(title, y, len(shown) + 1))
        y += 1
        for i, panel in enumerate(row):
            x, line = _WIDTH * (i % _COLUMNS), i // _COLUMNS
            shown.append(_panel(panel, x, y + line * _HEIGHT, len(shown) + 1))
        y += -(-len(row) // _COLUMNS) * _HEIGHT
    return {
        "uid": "realtime-avatar",
        "title": "Realtime Avatar",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": shown,
    }


def _heading(title: str, y: int, number: int) -> dict[str, Any]:
    place = {"h": 1, "w": _COLUMNS * _WIDTH, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place}


def _panel(panel: Panel, x: int, y: int, number: int) -> dict[str, Any]:
    stacking = {"mode": "normal" if panel.is_stacked else "none", "group": "A"}
    drawn = {"fillOpacity": 20 if panel.is_stacked else 0, "showPoints": "never"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "noValue": "none",
                "custom": {**drawn, "stacking": stacking},
            },
            "overrides": [],
        },
        "options": {"tooltip": {"mode": "multi"}, "legend": {"displayMode": "list"}},
        "targets": [
            {"refId": chr(ord("A") + i), "expr": query, "legendFormat": name}
            for i, (name, query) in enumerate(panel.queries.items())
        ],
    }


def main() -> None:
    """Print the file."""
    print(json.dumps(dashboard(), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
