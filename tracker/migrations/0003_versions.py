from django.db import migrations

from tracker.migrations._versions import DROP_TRIGGERS, TRIGGERS, forget_versions, keep_versions

TABLES = [
    "tracker_source",
    "tracker_chip",
    "tracker_chipspecification",
    "tracker_chipfamily",
    "tracker_chipfamilymember",
    "tracker_organization",
    "tracker_alias",
    "tracker_ownershipstake",
    "tracker_listentry",
    "tracker_datacenter",
    "tracker_datacenteruser",
    "tracker_datacenterpart",
    "tracker_datacenterstatus",
    "tracker_sitepower",
    "tracker_claim",
    "tracker_claimconflict",
    "tracker_licence",
    "tracker_licenceitem",
    "tracker_shipment",
    "tracker_shipmentclaim",
    "tracker_exportrule",
    "tracker_ruleinterval",
    "tracker_licencerequirement",
    "tracker_countrygroup",
    "tracker_countrygroupmember",
]


class Migration(migrations.Migration):
    dependencies = [("tracker", "0002_tables")]

    operations = [
        migrations.RunSQL(TRIGGERS, DROP_TRIGGERS),
        *(migrations.RunSQL(keep_versions(table), forget_versions(table)) for table in TABLES),
    ]
