"""The tables of users, roles, sign-ins and keys, and the roles that there are at first."""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = """
CREATE TABLE app_user (
    id text PRIMARY KEY,
    username text NOT NULL UNIQUE,
    email text NOT NULL,
    full_name text NOT NULL,
    password_hash text NOT NULL,
    roles text[] NOT NULL,
    created timestamptz NOT NULL,
    fhir_user text,
    disabled boolean NOT NULL DEFAULT false
);

CREATE TABLE app_role (
    name text PRIMARY KEY,
    scopes text NOT NULL,
    description text NOT NULL
);

CREATE TABLE api_key (
    id text PRIMARY KEY,
    user_id text NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE,
    scope text NOT NULL,
    created timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    revoked boolean NOT NULL DEFAULT false
);
CREATE INDEX api_key_by_user ON api_key (user_id);

CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    private_pem bytea NOT NULL,
    public_jwk json NOT NULL,
    active timestamptz NOT NULL,
    retires timestamptz
);

CREATE TABLE access_change (
    id text PRIMARY KEY,
    subject text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX access_change_by_time ON access_change (at);

CREATE TABLE sign_in (
    bucket integer NOT NULL,
    id text NOT NULL,
    user_id text NOT NULL,
    digest bytea NOT NULL,
    scope text,
    created timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    revoked boolean NOT NULL DEFAULT false,
    PRIMARY KEY (bucket, id)
);
CREATE INDEX sign_in_by_user ON sign_in (user_id);

CREATE TABLE login_attempt (
    bucket integer NOT NULL,
    subject text NOT NULL,
    failures integer NOT NULL,
    last timestamptz NOT NULL,
    locked_until timestamptz NOT NULL,
    PRIMARY KEY (bucket, subject)
);

CREATE TABLE revoked_token (
    bucket integer NOT NULL,
    id text NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (bucket, id)
);
"""

# What is kept in a patient's record: the types that people who treat patients write.
_CLINICAL = (
    "Account AdverseEvent AllergyIntolerance Appointment AppointmentResponse Basic BodyStructure CarePlan CareTeam"
    " ChargeItem Claim ClinicalImpression Communication CommunicationRequest Composition Condition Consent Coverage"
    " DetectedIssue Device DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference"
    " Encounter EpisodeOfCare FamilyMemberHistory Flag Goal Group GuidanceResponse ImagingStudy Immunization"
    " ImmunizationEvaluation ImmunizationRecommendation List Location Measure MeasureReport Media Medication"
    " MedicationAdministration MedicationDispense MedicationKnowledge MedicationRequest MedicationStatement"
    " MolecularSequence NutritionOrder Observation Organization Patient Person Practitioner PractitionerRole Procedure"
    " Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup ResearchSubject RiskAssessment Schedule"
    " ServiceRequest Slot Specimen SupplyDelivery SupplyRequest Task VisionPrescription"
)
_AT_THE_BEDSIDE = (
    "AllergyIntolerance CarePlan Communication Condition DeviceUseStatement DocumentReference Encounter Flag Goal"
    " Immunization Media MedicationAdministration MedicationStatement NutritionOrder Observation Procedure"
    " QuestionnaireResponse RiskAssessment Specimen Task"
)


def _on(types: str, permissions: str) -> str:
    return " ".join(f"user/{name}.{permissions}" for name in types.split())


_ROLES = (
    ("admin", "server/admin user/*.cruds user/AuditEvent.rs", "Manages users, roles and keys; may do everything"),
    (
        "practitioner",
        f"user/*.rs {_on(_CLINICAL, 'cud')}",
        "Sees all patients, and writes what belongs to their records",
    ),
    ("nurse", f"user/*.rs {_on(_AT_THE_BEDSIDE, 'cu')}", "Sees all patients, and writes what is done at the bedside"),
    ("patient", "patient/*.rs", "Sees the own record: that of the Patient whom fhir_user names"),
    ("auditor", "user/AuditEvent.rs", "Sees who did what"),
    ("system", "system/*.cruds", "Other systems, with API keys of their own scopes"),
)


def upgrade() -> None:
    for statement in _STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for name, scopes, description in _ROLES:
        op.execute(f"INSERT INTO app_role VALUES ('{name}', '{scopes}', '{description}')")


def downgrade() -> None:
    for table in (
        "app_user", "app_role", "api_key", "signing_key", "access_change", "sign_in", "login_attempt", "revoked_token",
    ):  # fmt: skip
        op.execute(f"DROP TABLE {table}")
