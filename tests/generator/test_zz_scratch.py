import time, resource
from pathlib import Path
import pytest
from django.conf import settings
from tracker.core.services import recording
from tracker.generator.plan import Settings
from tracker.generator.services import generate
from tracker.reconciliation import services
from tracker.models import RunPartition
from tracker.reconciliation.books import Parameters
from tracker.rules.services import load_rules
from django.db import connection
@pytest.mark.django_db
def test_x():
    with recording("test", "rules"):
        load_rules(Path(settings.BASE_DIR) / "seeds/rules")
    t=time.time(); generate(Settings(lines=100000, seed=7), "test"); print("### gen", time.time()-t)
    with connection.cursor() as c: c.execute("ANALYZE")
    run = services.start_run("test", parameters=Parameters(records="synthetic"))
    print("### rss MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)
    for kind in ("limit","licence","consignee"):
        for p in run.partitions.filter(kind=kind).order_by("index"):
            t=time.time(); services.begin_share(p.id)
            services.run_share(p.id); print("###", p.kind, p.index, p.count, round(time.time()-t,2), RunPartition.objects.get(id=p.id).findings, "rss MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024, flush=True)
