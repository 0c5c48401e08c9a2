import json, pytest, math, time
def test_a(workshop, kit):
    t=time.time(); d = workshop.ingest(kit.upload("bdd100k")); print(time.time()-t)
    print(d.files, d.json("card.json"), d.report, d.published, d.planned)
    print(d.manifest.decode())
    for l in ("yolo","coco"):
        e = workshop.ingest(kit.upload(l)); print(e.manifest.decode(), e.report, e.read("data.yaml").decode(), e.published)
    for c in ("identity","camera-night"):
        t=time.time(); x=workshop.translate(d,c); print(c,time.time()-t, x.files, x.json("card.json"))
    x=workshop.translate(d,"camera-night",preview=2); print(x)
@pytest.mark.parametrize("bad",['"\\ud800"','NaN','1e999','1e400','[1,2,{"a":"\\u0000"}]', '9'*400, '"\\r\\n\\u2028"'])
@pytest.mark.parametrize("where",["attributes","extra","box"])
def test_b(workshop, kit, bad, where):
    u=kit.upload("bdd100k")
    k="bdd100k/labels/det_20/det_val.json"
    r=u[k]
    {"attributes":r[0]["attributes"],"extra":r[0],"box":r[0]["labels"][0]}[where]["x"]="@@"
    u[k]=json.dumps(r).replace('"@@"',bad)
    d=workshop.ingest(u)
    print(where,bad[:20],d.entries[-1].frame.attributes if where=="attributes" else d.entries[-1].frame.extra, [f for f in d.report["findings"]])
