"""Roll call: every table of the app, so that Django finds it and doors import it from one place."""

from tracker.balances.models import BalanceArea, BalanceCell, BalancePlug, BalanceScope
from tracker.chips.models import Chip, ChipFamily, ChipFamilyMember, ChipSpecification
from tracker.claims.models import Claim, ClaimConflict, ClosedBook
from tracker.core.models import RecordVersion, Versioned
from tracker.datacenters.models import DataCenter, DataCenterPart, DataCenterStatus, DataCenterUser, SitePower
from tracker.imports.models import ImportProblem, ImportRun
from tracker.judgement.models import RuleComparison
from tracker.licences.models import Licence, LicenceItem
from tracker.organizations.models import Alias, ListEntry, Organization, OwnershipStake, Vendor
from tracker.proof.models import LedgerProof
from tracker.reconciliation.models import (
    Discrepancy,
    DiscrepancyEvent,
    DiscrepancyNote,
    Evidence,
    Finding,
    MethodParameter,
    NetworkEstimate,
    ReconciliationRun,
    RunPartition,
)
from tracker.reports.models import Report
from tracker.rules.models import (
    CountryGroup,
    CountryGroupMember,
    ExportRule,
    LicenceRequirement,
    RuleDraft,
    RuleInterval,
)
from tracker.screening.models import (
    ListedName,
    ListedParty,
    ListVersion,
    ScreenedOrganization,
    ScreenedParty,
    ScreeningList,
    ScreeningMatch,
)
from tracker.shipments.models import Shipment, ShipmentClaim
from tracker.sources.models import Source

__all__ = [
    "Alias",
    "BalanceArea",
    "BalanceCell",
    "BalancePlug",
    "BalanceScope",
    "Chip",
    "ChipFamily",
    "ChipFamilyMember",
    "ChipSpecification",
    "Claim",
    "ClaimConflict",
    "ClosedBook",
    "CountryGroup",
    "CountryGroupMember",
    "DataCenter",
    "DataCenterPart",
    "DataCenterStatus",
    "DataCenterUser",
    "Discrepancy",
    "DiscrepancyEvent",
    "DiscrepancyNote",
    "Evidence",
    "ExportRule",
    "Finding",
    "ImportProblem",
    "ImportRun",
    "LedgerProof",
    "Licence",
    "LicenceItem",
    "LicenceRequirement",
    "ListEntry",
    "ListVersion",
    "ListedName",
    "ListedParty",
    "MethodParameter",
    "NetworkEstimate",
    "Organization",
    "OwnershipStake",
    "ReconciliationRun",
    "RecordVersion",
    "Report",
    "RuleComparison",
    "RuleDraft",
    "RuleInterval",
    "RunPartition",
    "ScreenedOrganization",
    "ScreenedParty",
    "ScreeningList",
    "ScreeningMatch",
    "Shipment",
    "ShipmentClaim",
    "SitePower",
    "Source",
    "Vendor",
    "Versioned",
]
