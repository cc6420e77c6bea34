from tests.report.test_blocks import *
def test_probe(findings):
    blocks = make_blocks(findings)
    places = placed(blocks)
    measured = {i for i, f in enumerate(findings) if f.status == "measured"}
    for i in sorted(measured-set(places)):
        f=findings[i]
        if not f.metric.startswith("mean_abs"): print(f.metric, f.slice, f.reference, f.over)
    for b in blocks:
        for g in b.gaps: print(g.metric, g.named)
