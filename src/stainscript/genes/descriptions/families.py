"""Families of genes by their symbols, in key terms: general knowledge in short, for descriptions that ask nobody.

A gene belongs to every row whose pattern its symbol begins with (a pattern that ends in ``$`` takes the whole symbol).
Symbols are compared in capitals, so that mouse genes find the families that they share with human ones.
"""

from __future__ import annotations

import functools
import hashlib
import re

TABLE_DATE = "2026-11-21"

FAMILIES: tuple[tuple[str, str], ...] = (
    (r"A1BG|ORM[12]$|APO[ABCDEHLMO]\d?", "plasma protein, transport, lipoprotein"),
    (r"ABC[A-G]\d", "ATP-binding cassette transporter, membrane transport"),
    (r"ACT[ABCG]\d?\d?$|ACTN\d", "actin, cytoskeleton, cell motility"),
    (r"ADAM(TS)?\d", "metalloproteinase, disintegrin, shedding, extracellular matrix"),
    (r"AKR\d|ALDH\d|ADH\d|CYP\d", "oxidoreductase, detoxification, metabolism"),
    (r"ALDO[ABC]$|GAPDH|ENO\d|PGK\d|PGAM\d|TPI1|PKM|LDH[ABC]|HK\d|PFK", "glycolysis, energy metabolism, cytosol"),
    (r"ANXA\d", "annexin, calcium, phospholipid binding, membrane"),
    (r"ARF\d|ARL\d|RAB\d|RHO[A-Z]|RAC\d|RAP\d|RRAS|[HKN]RAS", "small GTPase, signalling, membrane traffic"),
    (r"ATP5|ATP6$", "ATP synthase, mitochondrion, oxidative phosphorylation"),
    (r"ATP1[AB]|ATP2[ABC]|ATP6V", "ATPase, ion pump, membrane transport"),
    (r"B2M|HLA-|H2-[A-Z]|CD74|TAP[12]$|TAPBP|PSMB[89]$", "MHC, antigen presentation, immunity"),
    (r"BCL\d|BAX|BAK1|BAD$|MCL1|CASP\d|BIRC\d", "apoptosis, cell survival, regulation"),
    (r"C1Q|C[1-9][RS]?$|CF[BDHIP]$|C4[AB]$", "complement, innate immunity"),
    (r"CALM\d|CALB\d|CALML\d", "calcium binding, EF-hand, signalling"),
    (r"CALR|CANX|P4HB|PDIA\d", "folding, endoplasmic reticulum"),
    (r"CCL\d|CXCL\d|CX3CL1|XCL\d", "chemokine, leukocyte recruitment, inflammation"),
    (r"CCR\d|CXCR\d|ACKR\d", "chemokine receptor, leukocyte migration"),
    (r"CCN[A-H]\d?$", "cyclin, cell cycle, proliferation"),
    (r"CDK\d|CDC\d", "cell cycle, proliferation"),
    (r"CDKN", "cell cycle inhibitor"),
    (r"CD\d", "cell surface antigen, cluster of differentiation"),
    (r"CDH\d|PCDH|CTNN|CLDN\d|OCLN|TJP\d", "cell adhesion, junction, epithelium"),
    (r"DS[CG]\d|DSP$|JUP$|PKP\d|PERP$|PPL$|EVPL", "desmosome, junction, epithelium"),
    (r"GJ[A-E]\d", "connexin, gap junction, cell communication"),
    (r"CEACAM|EPCAM|MUC\d", "epithelial surface glycoprotein, mucin, adhesion"),
    (r"COL\d+A\d", "collagen, extracellular matrix, stroma, connective tissue"),
    (r"COX\d|MT-CO|CYCS|CYC1|UQCR", "cytochrome, respiratory chain, mitochondrion, oxidative phosphorylation"),
    (r"CTS[A-Z]$|LGMN|LAMP\d|GBA", "lysosome, protease, degradation"),
    (r"DDX\d|DHX\d", "RNA helicase"),
    (r"EIF\d|EEF\d|ETF1|TUFM", "translation, initiation, elongation"),
    (r"DNAJ|HSP|HSPA\d|HSPB\d|HSP90|CCT\d", "chaperone, heat shock, protein folding, stress"),
    (r"DUSP\d|PTP[NR]|PPP\d", "phosphatase, signalling"),
    (r"EGFR|ERBB\d|FGFR\d|PDGFR|KDR|FLT\d|MET$|IGF1R|INSR", "receptor tyrosine kinase, growth factor signalling"),
    (
        r"EGR\d|FOS[BL]?\d?$|JUN|ATF\d|KLF\d|MYC|SOX\d|FOX[A-Z]\d|GATA\d|STAT\d|IRF\d",
        "transcription factor, gene regulation",
    ),
    (r"ESR\d|PGR$|AR$|NR\d[A-Z]\d|RAR[ABG]|PPAR", "nuclear receptor, hormone, transcription"),
    (r"FAM\d", "family with sequence similarity, little known"),
    (
        r"FBLN\d|FBN\d|FN1|LUM$|DCN$|BGN$|SPARC|POSTN|THBS\d|LAM[ABC]\d|VCAN|TNC$|ELN$",
        "extracellular matrix, glycoprotein, stroma",
    ),
    (r"FCGR|FCER|FCRL", "immunoglobulin receptor, leukocyte, immunity"),
    (r"FGF\d|VEGF|PDGF[A-D]|IGF\d$|TGFB\d$|BMP\d|WNT\d|HGF$|EGF$", "growth factor, signalling, development"),
    (r"GNA[ILOQSTZ\d]|GNB\d|GNG\d", "G protein, signalling"),
    (r"GPR\d|ADR[AB]\d|ADGR[A-Z]\d", "G protein coupled receptor, signalling"),
    (r"GPX\d|PRDX\d|SOD\d|TXN|GST[AMPTZ]\d|CAT$|NQO1|SELENO[A-Z]|SEPW1|SEPP1", "antioxidant, detoxification, redox"),
    (r"MT[1-4][A-Z]?$", "metallothionein, metal binding, stress"),
    (r"FTH1|FTL|TFRC|TF$", "ferritin, transferrin, iron"),
    (r"H[1-4]([-FAC]|$)|H2A|H2B|HIST", "histone, nucleosome, chromatin"),
    (r"HB[ABDEGMQZ]\d?(-|$)", "haemoglobin, oxygen transport, erythrocyte"),
    (r"HMG[ABN]\d|CBX\d|SMARC|HDAC\d|KDM|KMT", "chromatin, epigenetic regulation"),
    (r"HNRNP|SRSF\d|SNRP|SF3|PRPF|U2AF", "splicing, RNA binding, ribonucleoprotein"),
    (r"IFI\d|IFIT|IFITM|ISG\d|OAS\d|MX[12]$|IFN", "interferon, antiviral response, immunity"),
    (
        r"IGH([ADEGM]|[ADEGM]\d[A-Z]?|[VDJ]\d.*)$|IG[KL]([CVJ]|LL?)\d?|IGLL\d|JCHAIN|IGJ$",
        "immunoglobulin, antibody, B cell, plasma cell",
    ),
    (r"IGFBP", "growth factor binding, secreted, signalling"),
    (r"IL\d+R", "interleukin receptor, cytokine signalling, immunity"),
    (r"IL\d", "interleukin, cytokine, immunity"),
    (r"ITG[ABL]", "integrin, cell adhesion, matrix receptor"),
    (r"KIF\d|DYN|MYH\d|MYL\d|MYO\d|TPM\d|TNN[CIT]|TAGLN", "motor, muscle, contraction, cytoskeleton"),
    (r"KLK\d|PRSS\d|TMPRSS\d|CELA\d", "serine protease"),
    (r"SERPIN[A-J]|TIMP\d|CST[0-9AB]|SPINT\d|SPINK\d|SLPI|PI3$|A2M", "protease inhibitor"),
    (r"KRTAP", "keratin-associated protein, hair"),
    (r"KRT\d", "keratin, intermediate filament, epithelium, cytoskeleton"),
    (r"LAG3|PDCD1|CTLA4|TIGIT|HAVCR2", "immune checkpoint, T cell"),
    (r"LGALS", "galectin, carbohydrate binding, adhesion"),
    (r"LINC\d|MALAT1|NEAT1|XIST|SNHG\d|MIR\d+HG|[A-Z0-9]+-(AS|IT|OT)\d", "long non-coding RNA, regulation"),
    (r"LY6[A-Z]|LYPD\d|PSCA", "LY6 family, cell surface"),
    (r"LYZ|LYN$|TYROBP|FCER1G|AIF1$|CYB[AB]$|NCF\d|LAPTM5|LST1|ITGAM", "leukocyte, myeloid cell, immunity"),
    (r"MAGE|GAGE|SSX\d|CTAG", "cancer testis antigen"),
    (r"MAP[2-4]?K\d|MAPK\d|AKT\d|PIK3|MTOR|RAF1|BRAF|SRC$", "kinase, signalling"),
    (r"MIR\d|MIRLET|SNOR[AD]|RNU\d|RNA\d|RN7S|SCARNA|TR[A-Z]-[A-Z]{3}", "small non-coding RNA"),
    (r"MKI67|TOP2A|PCNA|MCM\d|AURK[ABC]|PLK\d|CENP|BUB\d", "cell cycle, mitosis, replication, proliferation"),
    (r"MMP\d", "matrix metalloproteinase, extracellular matrix degradation"),
    (r"MRP[LS]\d", "mitochondrial ribosome, translation"),
    (r"MT-(RNR|T[A-Z])", "mitochondrial RNA, translation"),
    (r"MT-ND|NDUF|^ND\d", "NADH dehydrogenase, complex I, respiratory chain, mitochondrion"),
    (r"MT-", "mitochondrial genome, respiration"),
    (r"NCR\d|KIR[23]|KLR[A-Z]|GNLY|NKG7|GZM[A-Z]|PRF1", "cytotoxic lymphocyte, natural killer cell, immunity"),
    (r"NOTCH|DLL\d|JAG\d|HES\d|HEY\d", "Notch signalling, development"),
    (r"OR\d+[A-Z]\d|TAS[12]R|VMN", "olfactory or taste receptor, sensory"),
    (r"PABP|PCBP\d|RBM\d|YBX\d|EWSR1|FUS$", "RNA binding"),
    (r"PLIN\d|ADIPOQ|LPL$|LEP$", "adipocyte, lipid storage"),
    (r"FABP\d|FASN|SCD\d?$|ACAC[AB]|ELOVL\d|DHCR\d|HMGC[RS]|ACSL\d", "lipid metabolism"),
    (r"POLR?\d|POL[ABDEGHIKLMNQ]\d?|POLR|TAF\d|GTF\d|MED\d", "polymerase, transcription, replication"),
    (r"PSM[A-G]\d|UB[ABC]\d?|UBE\d|USP\d|UBB|UBC|CUL\d|RNF\d|TRIM\d", "ubiquitin, proteasome, protein degradation"),
    (r"PTGDS|PTG[EIS]|ALOX\d", "prostaglandin, eicosanoid metabolism"),
    (r"RPL\d|RPS\d|RPLP\d|RPSA|FAU$|UBA52|RACK1", "ribosome, translation"),
    (r"S100[A-Z]", "S100, calcium binding, EF-hand"),
    (r"SCGB|PIP$|MGP$|AZGP1|LTF$|CSN\d", "secreted, gland, epithelium"),
    (r"SEC\d|SSR\d|RPN\d|SRP\d|COP[ABEGZ]|TMED\d|KDELR|SPCS", "secretory pathway, endoplasmic reticulum, Golgi"),
    (r"SLC25A", "mitochondrial carrier, transport"),
    (r"SLC\d", "solute carrier, membrane transport"),
    (r"SMAD\d|TGFBR|ACVR|BMPR", "TGF beta signalling"),
    (r"SPRR|LCE\d|IVL$|LOR$|LORICRIN|FLG|CDSN|CNFN", "cornified envelope, keratinocyte, epidermis"),
    (r"STMN\d|TUB[ABG]|MAP\d+[A-Z]?$|MAPT|MAPRE", "tubulin, microtubule, cytoskeleton"),
    (
        r"SYT\d|SNAP\d|STX\d|VAMP\d|SYN\d|SYP$|GRI[AN]\d|GABR|NEFL|NEFM|GFAP|MBP$|PLP1",
        "neuron, synapse, glia, nervous system",
    ),
    (r"TFF\d", "trefoil factor, mucosa, secreted"),
    (r"TLR\d|NLR|NOD\d|MYD88|NFKB|REL[AB]?$", "innate immunity, inflammation, signalling"),
    (r"TMEM\d", "transmembrane protein, little known"),
    (
        r"TMSB|CFL\d|DSTN|PFN\d|ARPC\d|ACTR\d|CAP[ZG]|VIL\d|EZR|MSN$|RDX$|FLN[ABC]|LASP1|ZYX",
        "actin binding, cytoskeleton",
    ),
    (r"TNFRSF|TNFSF|TNF$|TNFAIP|LTA$|LTB$", "tumour necrosis factor superfamily, signalling, inflammation"),
    (r"TR[ABDG][CDJV](\d.*)?$", "T cell receptor, adaptive immunity"),
    (r"TSPAN\d|CD9$|CD63|CD81|CD82", "tetraspanin, membrane"),
    (r"VIM$|DES$|LMN[AB]\d?|NES$", "intermediate filament, cytoskeleton"),
    (r"VWF|PECAM1|CLDN5|CDH5|TEK$|TIE1|ENG$|PLVAP", "endothelium, vessel"),
    (r"XRCC|RAD\d|BRCA\d|FANC|ERCC|MSH\d|MLH\d|PARP\d|TP53|ATM$|ATR$|CHEK", "DNA repair, genome stability"),
    (r"ZNF\d|ZFP\d|ZBTB\d|ZSCAN\d|ZKSCAN\d|ZC3H", "zinc finger, DNA binding, transcription"),
    (
        r"A[CLPFJD]\d{6}|RP\d+-\d|CT[ABCD]-\d|GM\d+$|[0-9A-Z]+RIK$|LOC\d",
        "genomic clone or predicted gene, uncharacterised",
    ),
    (r"C(\d+|X|Y)ORF\d|KIAA\d", "open reading frame, uncharacterised protein"),
    (
        r"(RPL|RPS)\d+[A-Z]?P\d+$|(EEF|HNRNP|HSP|TUB|KRT|EIF)[A-Z0-9]*\d[A-Z]?P\d+$|(ACTB|ACTG\d|PTMA|FTH1|FTL|GAPDH)P\d+$",
        "pseudogene",
    ),
    (r"YWHA[A-Z]|SFN$", "14-3-3, phosphoprotein binding, signalling"),
    (r"PPI[A-H]$|FKBP\d", "peptidyl-prolyl isomerase, protein folding"),
    (r"PFDN\d|NACA$|BTF3$|TCP1|BAG\d", "chaperone, nascent chain"),
    (r"LSM\d|PTBP\d|RALY|PCF11", "RNA processing"),
    (r"SDC\d|GPC\d|HSPG2|CHPF|CHST\d", "proteoglycan, heparan sulphate, matrix"),
    (r"AP[1-5][BDEGMSZ]\d|CLT[ABC]|VPS\d|SNX\d|STARD\d", "vesicle, membrane traffic, sorting"),
    (r"LMAN\d|ERGIC\d|RTN\d|RRBP1|TMBIM\d|SDF\d|SELENOS", "endoplasmic reticulum, secretory pathway"),
    (r"CLIC\d|AQP\d|FXYD\d|KCN[A-Z]|SCN\d|CACN|TRP[ACMV]\d|CLCA\d|BEST\d", "channel, ion or water transport"),
    (r"IDH\d|MDH\d|SDH[ABCD]|CS$|ACO\d|PDH[ABX]|CHCHD\d|TIMM|TOMM|ROMO1|PHB", "mitochondrion, metabolism"),
    (r"NDRG\d|SEMA\d|PLXN[A-D]\d|EFN[AB]\d|EPH[AB]\d|ROBO\d|SLIT\d", "guidance, differentiation, signalling"),
    (r"PSAP$|NPC\d|GRN$|GLB1|HEX[AB]|ATP6AP\d|LAPTM4", "lysosome"),
    (r"NPM\d|NCL$|FBL$|NOP\d|PTMA$|PTMS$|NUCKS1|PCGF\d|MLLT\d", "nucleus, nucleolus, chromatin"),
)


@functools.cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(f"(?:{pattern})"), terms) for pattern, terms in FAMILIES)


def terms_of(symbol: str) -> tuple[str, ...]:
    """Key terms of every family that the symbol's letters say it belongs to, each term once, in the table's order."""
    name = symbol.upper()
    terms = (term for pattern, row in _compiled() if pattern.match(name) for term in row.split(", "))
    return tuple(dict.fromkeys(terms))


def stem_of(symbol: str) -> str:
    """The letters that a symbol shares with its family: up to the first digit, or the hyphen (``KRT`` of ``KRT8``);
    of ``SLC25A6`` the series too (``SLC25``). Empty where the symbol is all stem or has none of two letters."""
    name = symbol.upper()
    series = re.match(r"(SLC\d+|S100|CYP\d+)(?=[A-Z])", name)
    stem = series.group(1) if series else re.split(r"[\d\-.]", name, maxsplit=1)[0]
    return stem if 2 <= len(stem) < len(name) else ""


def table_sha256() -> str:
    """Identity of the table."""
    return hashlib.sha256("\n".join(f"{pattern}\t{terms}" for pattern, terms in FAMILIES).encode()).hexdigest()
